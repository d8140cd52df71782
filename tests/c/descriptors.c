/* A host that has closed its standard streams, and still prints and reads: no descriptor of the library may take
 * their numbers, or survive an exec. */
#define _GNU_SOURCE
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* The test's own output; lower descriptors were open before the library. */
enum { OWN = 200 };

static int over;
static long tries;

static void refused(int stream, const char *doing, ssize_t done)
{
    if (done == -1 && errno == EBADF)
        return;
    char name[30], path[300] = "?";
    int number = errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", stream);
    (void)!readlink(name, path, sizeof path - 1);
    fprintf(stderr, "%d could be used to %s: %d, errno %d; maybe %s\n", stream, doing, (int)done, number, path);
    exit(1);
}

/* Prints into 1 and 2 and reads from 0, without a pause. */
static void *print(void *user_data)
{
    (void)user_data;
    char byte;
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        for (int stream = 0; stream < 3; stream++) {
            refused(stream, "print into", write(stream, "JUNK", 4));
            refused(stream, "read from", read(stream, &byte, 1));
        }
        tries++;
    }
    return NULL;
}

static DIR *descriptors;
static bool known[OWN];

/* Checks all open descriptors. Those of the standard streams count as closed if they cannot be used: while the library opens
 * a file, which a thread of its own may do at any time, it puts unusable stand-ins in their place. */
static void look(void)
{
    static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&alone);
    rewinddir(descriptors);
    struct dirent *entry;
    while ((entry = readdir(descriptors))) {
        int number = atoi(entry->d_name), flags = fcntl(number, F_GETFD);
        if (entry->d_name[0] == '.' || number >= OWN || known[number] || flags < 0)
            continue;
        char name[300], path[300] = "?";
        snprintf(name, sizeof name, "/proc/self/fd/%d", number);
        ssize_t length = readlink(name, path, sizeof path - 1);
        bool stands_in = number < 3 && strcmp(path, "/") == 0;
        if (length > 0 && (!(flags & FD_CLOEXEC) || (number < 3 && !stands_in))) {
            fprintf(stderr, "descriptor %d: %s\n", number, path);
            exit(1);
        }
    }
    pthread_mutex_unlock(&alone);
}

static int32_t count(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)channel, (void)bytes;
    look();
    *(size_t *)user_data += length;
    return 0;
}

static void live(const dstore_store *store, const char *tar, const char *root, const char *suffix)
{
    import_base(store, tar);
    look();
    char id[100], file[1000];
    snprintf(id, sizeof id, "one%s", suffix);
    snprintf(file, sizeof file, "%s.tar", root);
    for (int generation = 0; generation < 2; generation++) {
        dstore_lease *lease;
        OK(dstore_store_cache(store, id, 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));
        look();
        dstore_step *step = begin(store, "base", id);
        look();
        dstore_cancel *cancel = dstore_cancel_new();
        dstore_command *command = sh(
            "cat; mkdir -p /cache/a/b; for i in 1 2 3 4 5; do cp /bin/busybox /cache/a/$i; done; date >/cache/a/b/c");
        OK(dstore_command_lease(command, lease, "/cache", &error));
        OK(dstore_command_stdin_file(command, "/proc/self/cmdline", &error));
        size_t length = 0;
        OK(dstore_step_run(step, command, count, &length, NULL, &error));
        dstore_command_free(command);
        CHECK(length > 0);
        OK(dstore_step_copy_out_file(step, "/bin/busybox", file, NULL, &error));
        OK(dstore_step_copy_in_file(step, "/put", file, &error));
        look();
        OK(dstore_step_commit(step, &error));
        dstore_step_free(step);
        dstore_cancel_free(cancel);
        dstore_released released;
        OK(dstore_lease_release(lease, &released, &error));
        CHECK(released == DSTORE_RELEASE_WON);
        dstore_lease_free(lease);
        look();
        OK(dstore_store_delete(store, id, NULL, &error));
    }
    unlink(file);
    dstore_caches *caches;
    OK(dstore_store_caches(store, &caches, &error));
    dstore_caches_free(caches);
    OK(dstore_store_purge(store, NULL, NULL, NULL, &error));
    OK(dstore_store_delete_cache(store, id, NULL, &error));
    OK(dstore_store_complete_deletes(store, 0, NULL, &error));
    look();
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    stdout = fdopen(fcntl(1, F_DUPFD_CLOEXEC, OWN), "w");
    stderr = fdopen(fcntl(2, F_DUPFD_CLOEXEC, OWN), "w");
    CHECK(stdout && stderr);
    setvbuf(stderr, NULL, _IONBF, 0);
    for (int stream = 0; stream < 3; stream++)
        close(stream);
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    descriptors = fdopendir(fcntl(folder, F_DUPFD_CLOEXEC, OWN));
    CHECK(descriptors && close(folder) == 0);
    for (int number = 3; number < OWN; number++)
        known[number] = fcntl(number, F_GETFD) >= 0;
    pthread_t printer;
    CHECK(pthread_create(&printer, NULL, print, NULL) == 0);

    const dstore_strategy strategies[] = {DSTORE_STRATEGY_AUTOMATIC, DSTORE_STRATEGY_COPY};
    for (int i = 0; i < 2; i++) {
        dstore_options *options = dstore_options_new();
        OK(dstore_options_strategy(options, strategies[i], &error));
        dstore_store *store;
        OK(dstore_store_open(argv[1], options, &store, &error));
        dstore_options_free(options);
        look();
        live(store, argv[2], argv[1], i ? "-copied" : "-layers");
        OK(dstore_store_close(store, &error));
        dstore_store_free(store);
        look();
    }

    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    CHECK(pthread_join(printer, NULL) == 0);
    CHECK(tries > 100);
    puts("ok");
    return 0;
}

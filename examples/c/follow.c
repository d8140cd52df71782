/*
 * follow.c - shows the log of a build while any process that has the same root open writes it, and stops when the build has
 * ended. The log of a build that has already ended is shown completely. A build that has not begun is waited for.
 *
 * Compile: cc follow.c $(pkg-config --cflags --libs docker_store) -o follow
 * Usage:   follow ROOT ID
 *
 * Exits with 0 if the result exists, and with 1 if the build ended without a result.
 */
#include <docker_store.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void die(const char *doing, const char *why)
{
    fprintf(stderr, "%s: %s\n", doing, why);
    exit(2);
}

/* Any call whose last argument is &error. */
#define TRY(doing, call)                                                                           \
    do {                                                                                           \
        dstore_error *error;                                                                       \
        if ((call) != DSTORE_OK)                                                                   \
            die(doing, dstore_error_message(error));                                               \
    } while (0)

static void wait_a_moment(void)
{
    struct timespec pause = {.tv_nsec = 100 * 1000000L};
    nanosleep(&pause, NULL);
}

/* Opens the log once it exists. Returns NULL if it never will, because the result already exists. */
static FILE *open_log(const dstore_store *store, const char *id, const char *path)
{
    for (;;) {
        bool present;
        TRY(id, dstore_store_result(store, id, &present, &error)); /* first: a log may appear with the result */
        FILE *log = fopen(path, "r");
        if (log || present)
            return log;
        if (errno != ENOENT)
            die(path, strerror(errno));
        wait_a_moment();
    }
}

/* Shows what was written since the last call. Another attempt creates a new file, which is shown from its start. */
static void show(FILE **log, const char *path)
{
    for (;;) {
        char bytes[4096];
        size_t length;
        struct stat file;
        clearerr(*log); /* more may have been written since the end was reached */
        bool replaced = fstat(fileno(*log), &file) == 0 && file.st_nlink == 0;
        while ((length = fread(bytes, 1, sizeof bytes, *log)) > 0)
            fwrite(bytes, 1, length, stdout);
        fflush(stdout);
        FILE *next = replaced ? fopen(path, "r") : NULL;
        if (!next)
            return;
        fprintf(stderr, "(another attempt, from the start:)\n");
        fclose(*log);
        *log = next;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: %s ROOT ID\n", argv[0]);
        return 2;
    }
    const char *id = argv[2];
    char *path;
    dstore_store *store;
    TRY(argv[1], dstore_store_open(argv[1], NULL, &store, &error));
    TRY(id, dstore_store_log_file(store, id, &path, &error));

    FILE *log = open_log(store, id, path);
    if (log) {
        bool building = true;
        while (building) {
            /* First the state, then the log: once the build has ended, everything it wrote can be read. */
            TRY(id, dstore_store_building(store, id, &building, &error));
            show(&log, path);
            if (building)
                wait_a_moment();
        }
        fclose(log);
    }
    bool present;
    TRY(id, dstore_store_result(store, id, &present, &error));
    fprintf(stderr, "%s: %s\n", id, present ? "built" : "not built");
    dstore_string_free(path);
    TRY(argv[1], dstore_store_close(store, &error));
    dstore_store_free(store);
    return present ? 0 : 1;
}

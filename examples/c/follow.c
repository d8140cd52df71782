/*
 * follow.c - shows the log of a build while it is being written, by any process that has the same root open, and stops when
 * the build has ended. One that has ended before is shown whole; one that has not begun is waited for.
 *
 * Compile: cc follow.c $(pkg-config --cflags --libs docker_store) -o follow
 * Usage:   follow ROOT ID
 *
 * Exits with 0 if there is a result, 1 if the build ended without one.
 */
#include <docker_store.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { SHORTEST = 100, LONGEST = 1000 }; /* milliseconds between two looks */

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

/* Opens the log once it is there. NULL: it never will be, for the result is. */
static FILE *open_log(const dstore_store *store, const char *id, const char *path)
{
    for (;;) {
        bool present;
        struct timespec pause = {.tv_nsec = SHORTEST * 1000000L};
        TRY(id, dstore_store_result(store, id, &present, &error)); /* first: a log may come with it */
        FILE *log = fopen(path, "r");
        if (log || present)
            return log;
        if (errno != ENOENT)
            die(path, strerror(errno));
        nanosleep(&pause, NULL);
    }
}

/* Shows what has come since the last time, and says whether anything has. */
static bool show(FILE *log)
{
    char bytes[4096];
    size_t length, shown = 0;
    struct stat file;
    clearerr(log); /* the end of a moment ago is none now */
    if (fstat(fileno(log), &file) == 0 && file.st_size < ftell(log)) {
        fprintf(stderr, "(built once more, from the start:)\n");
        rewind(log);
    }
    for (; (length = fread(bytes, 1, sizeof bytes, log)) > 0; shown += length)
        fwrite(bytes, 1, length, stdout);
    fflush(stdout);
    return shown > 0;
}

/*
 * Whether the build has ended, and if not yet, waits for it for a while. Two who build the same id wait for each other; so this
 * begins to build it, in a way that cannot come to anything: on top of itself.
 *
 *   DSTORE_TIMED_OUT   somebody builds it
 *   DSTORE_OK          nobody does, and there is a result
 *   DSTORE_NOT_FOUND   nobody does, and there is none, to build on either
 */
static dstore_status ended(const dstore_store *store, const char *id, uint64_t wait_ms)
{
    dstore_step *step;
    dstore_error *error;
    dstore_status status = dstore_store_begin(store, id, id, wait_ms, NULL, &step, &error);
    if (status != DSTORE_OK && status != DSTORE_TIMED_OUT && status != DSTORE_NOT_FOUND)
        die(id, dstore_error_message(error));
    dstore_error_free(error);
    dstore_step_free(step);
    return status;
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

    dstore_status status = DSTORE_OK;
    FILE *log = open_log(store, id, path);
    if (log) {
        uint64_t wait = SHORTEST;
        do {
            /* First the state, then the log: what was written before the end is there to be read after it. A longer wait
             * where nothing comes, so that an engine that is slow to answer is waited for, too. */
            status = ended(store, id, wait);
            wait = show(log) ? SHORTEST : wait < LONGEST ? wait + SHORTEST : LONGEST;
        } while (status == DSTORE_TIMED_OUT);
        fclose(log);
    }
    fprintf(stderr, "%s: %s\n", id, status == DSTORE_OK ? "built" : "not built");
    dstore_string_free(path);
    TRY(argv[1], dstore_store_close(store, &error));
    dstore_store_free(store);
    return status == DSTORE_OK ? 0 : 1;
}

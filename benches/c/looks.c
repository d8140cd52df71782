/*
 * Looks up results from C. `result ID N` on a line of standard input is answered by `ok` and N times in nanoseconds, for the
 * benchmarks (benches/field); `count ID N` does the same without a clock, for tests/counts.rs, which counts the cost of a lookup.
 *
 * usage: looks ROOT WORD [ADDRESS]
 */
#include <docker_store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 10000 };

static void die(const char *what, dstore_error *error)
{
    fprintf(stderr, "looks: %s: %s\n", what, error != NULL ? dstore_error_message(error) : "failed");
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static uint64_t times[MOST];
    char line[512], command[16], id[256];
    dstore_error *error = NULL;
    dstore_store *store = NULL;
    dstore_options *options = dstore_options_new();
    int n;

    if (argc < 3)
        die("usage: looks ROOT WORD [ADDRESS]", NULL);
    if (dstore_options_name(options, argv[2], &error) != DSTORE_OK)
        die("name", error);
    if (argc > 3 && dstore_options_engine(options, argv[3], &error) != DSTORE_OK)
        die("engine", error);
    if (dstore_store_open(argv[1], options, &store, &error) != DSTORE_OK)
        die("open", error);
    dstore_options_free(options);

    while (fgets(line, sizeof line, stdin) != NULL) {
        bool timed;
        if (sscanf(line, "%15s %255s %d", command, id, &n) != 3 || n < 0 || n > MOST)
            die(line, NULL);
        timed = strcmp(command, "result") == 0;
        for (int i = 0; i < n; i++) {
            bool present = false;
            uint64_t began = timed ? now() : 0;
            if (dstore_store_result(store, id, &present, &error) != DSTORE_OK)
                die("result", error);
            if (timed)
                times[i] = now() - began;
        }
        fputs("ok", stdout);
        for (int i = 0; timed && i < n; i++)
            printf(" %llu", (unsigned long long)times[i]);
        fputs("\n", stdout);
        fflush(stdout);
    }
    dstore_store_free(store);
    return 0;
}

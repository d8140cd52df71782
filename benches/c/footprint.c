/*
 * Loads the shared library, opens a store, looks up a result, and prints the cost: the time of dlopen, resident memory
 * before, after loading and when idle, and the number of threads. One `NAME VALUE` a line.
 *
 * usage: footprint LIBRARY ROOT WORD ID
 */
#include <docker_store.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *what)
{
    fprintf(stderr, "footprint: %s\n", what);
    exit(1);
}

/* A number of /proc/self/status. */
static long status(const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        die("no /proc/self/status");
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = atol(line + strlen(key));
    fclose(file);
    return value;
}

/* ISO C has no cast from an object pointer to a function's; POSIX requires this one to work. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        die(name);
    memcpy(function, &symbol, sizeof symbol);
}

int main(int argc, char **argv)
{
    dstore_options *(*options_new)(void);
    dstore_status (*options_name)(dstore_options *, const char *, dstore_error **);
    dstore_status (*store_open)(const char *, const dstore_options *, dstore_store **, dstore_error **);
    dstore_status (*store_result)(const dstore_store *, const char *, bool *, dstore_error **);
    void (*options_free)(dstore_options *);
    void (*store_free)(dstore_store *);
    struct timespec begin, end;
    dstore_options *options;
    dstore_store *store = NULL;
    bool present = false;
    void *library;
    long bare;

    if (argc != 5)
        die("usage: footprint LIBRARY ROOT WORD ID");
    status("VmRSS:"); /* reading a file is not the library's cost */
    bare = status("VmRSS:");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (library == NULL)
        die(dlerror());
    printf("bare-kb %ld\n", bare);
    printf("dlopen-ns %lld\n", (end.tv_sec - begin.tv_sec) * 1000000000ll + (end.tv_nsec - begin.tv_nsec));
    printf("loaded-kb %ld\n", status("VmRSS:"));

    find(library, "dstore_options_new", &options_new);
    find(library, "dstore_options_name", &options_name);
    find(library, "dstore_options_free", &options_free);
    find(library, "dstore_store_open", &store_open);
    find(library, "dstore_store_result", &store_result);
    find(library, "dstore_store_free", &store_free);
    options = options_new();
    if (options_name(options, argv[3], NULL) != DSTORE_OK)
        die("name");
    if (store_open(argv[2], options, &store, NULL) != DSTORE_OK)
        die("open");
    options_free(options);
    if (store_result(store, argv[4], &present, NULL) != DSTORE_OK || !present)
        die("result");
    printf("idle-kb %ld\n", status("VmRSS:"));
    printf("idle-threads %ld\n", status("Threads:"));
    store_free(store);
    return 0;
}

/*
 * demo.c - a chain of build steps that share a cache. Run it twice: the second run finds every step built.
 *
 * Usage: demo ROOT BASE.tar
 */
#include <docker_store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A step runs a script on top of the previous step's result. */
struct recipe {
    const char *name, *script;
};

/* A slow compiler, which stores each object file in /cache under the digest of its source. */
#define COMPILE                                                                                    \
    "mkdir -p /out; for file in /src/*.c; do "                                                     \
    "  key=$(sha256sum <$file | cut -c1-16); object=/out/$(basename $file .c).o; "                 \
    "  if cp /cache/$key $object 2>/dev/null; then echo \"$file: from the cache\"; "               \
    "  else echo \"$file: compiling\"; sleep 0.4; gzip -9 <$file >$object; cp $object /cache/$key; fi; " \
    "done"

static const struct recipe recipes[] = {
    {"sources", "mkdir /src; for name in main parse print; do echo \"// $name\" >/src/$name.c; done"},
    {"compile", COMPILE},
    {"change", "rm -r /out; echo '// new' >/src/new.c"},
    {"recompile", COMPILE},
    {"link", "cat /out/*.o >/program; ls -l /program"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* ---------------------------------------------------------------- errors */

static void die(const char *doing, dstore_error *error)
{
    fprintf(stderr, "\n%s: %s\n", doing, dstore_error_message(error));
    exit(1);
}

/* Any call whose last argument is &error. */
#define TRY(doing, call)                                                                           \
    do {                                                                                           \
        dstore_error *error;                                                                       \
        if ((call) != DSTORE_OK)                                                                   \
            die(doing, error);                                                                     \
    } while (0)

/* ---------------------------------------------------------------- output */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* On a terminal, shows the last line of a step's output next to its name while it runs. */
static void show(const char *name, const char *text, size_t length)
{
    if (isatty(STDOUT_FILENO)) {
        printf("\r\033[K  %-10s %.*s", name, (int)length, text);
        fflush(stdout);
    }
}

static int32_t show_output(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)channel;
    while (length > 0 && bytes[length - 1] == '\n')
        length--;
    size_t start = length;
    while (start > 0 && bytes[start - 1] != '\n')
        start--;
    show(user_data, bytes + start, length - start < 60 ? length - start : 60);
    return 0; /* any other value would stop the command */
}

static int32_t show_import(void *user_data, const char *status, const char *item, uint64_t current, uint64_t total)
{
    char text[60];
    (void)item;
    int length = snprintf(text, sizeof text, "%s: %3.0f%%", status, total ? 100.0 * (double)current / (double)total : 0);
    show(user_data, text, (size_t)length);
    return 0;
}

static void show_row(const char *name, double began, bool hit)
{
    show("", "", 0);
    printf("%s  %-10s %7.3f s   %s\n", isatty(STDOUT_FILENO) ? "\r" : "", name, now() - began, hit ? "hit" : "built");
}

/* ---------------------------------------------------------------- building */

/* Derives a step's id from everything that goes into it: if anything changes, this step and all later steps are new. */
static char *make_id(const char *base, const struct recipe *recipe)
{
    const char *parts[] = {base, recipe->script};
    char *id;
    TRY(recipe->name, dstore_id(recipe->name, parts, NULL, 2, &id, &error));
    return id;
}

/* Builds the first step, which has no base and starts from the files of a tar. Returns whether it was a hit. */
static bool import(const dstore_store *store, const char *tar)
{
    dstore_step *step;
    TRY("base", dstore_store_begin(store, NULL, "base", 0, NULL, &step, &error));
    if (!step)
        return true;
    TRY("base", dstore_step_import_file(step, tar, show_import, "base", &error));
    TRY("base", dstore_step_commit(step, &error));
    dstore_step_free(step);
    return false;
}

static bool build(const dstore_store *store, const char *base, const char *id, const struct recipe *recipe)
{
    dstore_step *step;
    TRY(recipe->name, dstore_store_begin(store, base, id, 0, NULL, &step, &error));
    if (!step)
        return true;

    /* A separate copy of the newest version of the cache, for this step. */
    dstore_lease *lease;
    TRY("cache", dstore_store_cache(store, "objects", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));

    const char *argv[] = {"/bin/sh", "-e", "-c", recipe->script};
    dstore_command *command;
    TRY(recipe->name, dstore_command_new(argv, 4, &command, &error));
    TRY(recipe->name, dstore_command_lease(command, lease, "/cache", &error));
    TRY(recipe->name, dstore_step_run(step, command, show_output, (void *)recipe->name, NULL, &error));
    TRY(recipe->name, dstore_step_commit(step, &error));
    dstore_command_free(command);
    dstore_step_free(step);

    /* The copy, with the step's changes, becomes the next version. */
    TRY("cache", dstore_lease_release(lease, NULL, &error));
    dstore_lease_free(lease);
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: %s ROOT BASE.tar\n", argv[0]);
        return 2;
    }
    dstore_store *store;
    TRY("open", dstore_store_open(argv[1], NULL, &store, &error));
    printf("A store in %s, on the engine at %s:\n\n", dstore_store_root(store), dstore_store_engine(store));

    double began = now();
    int hits = import(store, argv[2]);
    show_row("base", began, hits);
    char *id = NULL;
    for (int i = 0; i < RECIPES; i++) {
        began = now();
        show(recipes[i].name, "", 0);
        const char *base = id ? id : "base";
        char *next = make_id(base, &recipes[i]);
        bool hit = build(store, base, next, &recipes[i]);
        show_row(recipes[i].name, began, hit);
        hits += hit;
        dstore_string_free(id);
        id = next;
    }

    char *log;
    TRY("log", dstore_store_log_file(store, id, &log, &error));
    printf("\nThe last step's log is %s; the other logs are in the same directory.\n", log);
    dstore_string_free(log);
    dstore_string_free(id);
    if (hits == RECIPES + 1)
        printf("Nothing to do: every step had already been built.\n");
    else
        printf("Run this again: it will find every step built.\n");
    printf("%d steps: %d hits, %d built\n", RECIPES + 1, hits, RECIPES + 1 - hits);
    TRY("close", dstore_store_close(store, &error));
    dstore_store_free(store);
    return 0;
}

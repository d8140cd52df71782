/*
 * demo_real.c - compiles a real C project, zlib, in containers: once unchanged, and once with one file changed. The second
 * build finds the steps that the change does not affect, and the compiler finds the other files in its own cache, which the
 * store keeps. The compiled program is copied out and runs on the local machine.
 *
 * Usage: demo_real ROOT USERLAND.tar ZLIB_DIR OUT_DIR [CHANGE]
 *
 * USERLAND.tar is a file system with gcc, make and ccache, and a user `build`. CHANGE is a text that the second build adds to a
 * source file. The default is the time, so that it is always new.
 */
#include <docker_store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BUILDER = 1000 }; /* the user `build` of the userland */

/* A chain of steps, and its progress. */
struct chain {
    const dstore_store *store;
    char *id; /* of the last step; NULL at first */
    int hits, built;
    long ccache_hits, ccache_misses;
};

static void die(const char *doing, const char *why)
{
    fprintf(stderr, "%s: %s\n", doing, why);
    exit(1);
}

#define TRY(doing, call)                                                                           \
    do {                                                                                           \
        dstore_error *error;                                                                       \
        if ((call) != DSTORE_OK)                                                                   \
            die(doing, dstore_error_message(error));                                               \
    } while (0)

/* ---------------------------------------------------------------- steps */

/* Begins the next step. Its id is derived from the previous step, its name and its content. Returns NULL if it is built. */
static dstore_step *next(struct chain *chain, const char *name, const char *content, size_t length)
{
    const char *parts[] = {chain->id ? chain->id : "", content};
    size_t lengths[] = {strlen(parts[0]), length};
    char *id;
    dstore_step *step;
    TRY(name, dstore_id(name, parts, lengths, 2, &id, &error));
    TRY(name, dstore_store_begin(chain->store, chain->id, id, 0, NULL, &step, &error));
    dstore_string_free(chain->id);
    chain->id = id;
    printf("  %-10s %s\n", name, step ? "building" : "hit");
    fflush(stdout);
    if (step)
        chain->built++;
    else
        chain->hits++;
    return step;
}

static void done(const char *name, dstore_step *step)
{
    TRY(name, dstore_step_commit(step, &error));
    dstore_step_free(step);
}

static dstore_command *script(const char *text)
{
    const char *argv[] = {"/bin/sh", "-e", "-c", text};
    dstore_command *command;
    TRY("command", dstore_command_new(argv, 4, &command, &error));
    /* dstore_step_run() reports setter errors. */
    dstore_command_user(command, "build", NULL);
    dstore_command_env(command, "HOME", "/home/build", NULL);
    dstore_command_cwd(command, "/src", NULL);
    return command;
}

static int32_t from_stream(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    *length = fread(buffer, 1, capacity, user_data);
    return ferror((FILE *)user_data);
}

static int32_t to_stream(void *user_data, const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, user_data) != length;
}

static FILE *start(const char *command, const char *mode)
{
    FILE *stream = popen(command, mode);
    if (!stream)
        die(command, "cannot be started");
    return stream;
}

static void finish(const char *command, FILE *stream)
{
    if (pclose(stream) != 0)
        die(command, "failed");
}

/* Builds a step that copies in the output of `command`: a tar stream, with the same bytes each time for the same files. */
static void copy_step(struct chain *chain, const char *name, const char *command)
{
    char *content = NULL;
    size_t length = 0, n;
    FILE *stream = start(command, "r");
    do {
        content = realloc(content, length + 65536);
        if (!content)
            die(name, "not enough memory for its files");
        length += n = fread(content + length, 1, 65536, stream);
    } while (n > 0);
    finish(command, stream);
    dstore_step *step = next(chain, name, content, length);
    free(content);
    if (step) {
        stream = start(command, "r");
        TRY(name, dstore_step_copy_in(step, "/", from_stream, stream, &error));
        finish(command, stream);
        done(name, step);
    }
}

static void run_step(struct chain *chain, const char *name, const char *text)
{
    dstore_step *step = next(chain, name, text, strlen(text));
    if (step) {
        dstore_command *command = script(text);
        TRY(name, dstore_step_run(step, command, NULL, NULL, NULL, &error));
        dstore_command_free(command);
        done(name, step);
    }
}

/* ---------------------------------------------------------------- compiling, with a cache */

static const char compile[] =
    "ccache --zero-stats >/dev/null; make -j2 CC='ccache gcc' libz.a;"
    "ccache gcc -O2 -I. -c -o check.o check.c; gcc -static -o check check.o libz.a; ccache --print-stats";

/* A program that checks that the library works. It is passed to the step as the command's standard input. */
static const char check[] =
    "#include <stdio.h>\n#include <string.h>\n#include \"zlib.h\"\n"
    "int main(void)\n{\n"
    "    static unsigned char text[100000], packed[100000], back[100000];\n"
    "    uLongf length = sizeof packed, again = sizeof back;\n"
    "    memset(text, 'z', sizeof text);\n"
    "    if (compress(packed, &length, text, sizeof text) || uncompress(back, &again, packed, length) ||\n"
    "        again != sizeof text || memcmp(text, back, again))\n"
    "        return 1;\n"
    "    printf(\"zlib %s: %zu bytes, packed into %lu and back\\n\", zlibVersion(), sizeof text, length);\n"
    "    return 0;\n}\n";

/* Keeps the end of the output, where ccache prints its counters. */
static int32_t keep_end(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    char *end = user_data; /* 8192 bytes, NUL-terminated */
    size_t there = strlen(end);
    (void)channel;
    for (; length > 4095; length--)
        bytes++;
    if (there + length > 8191) {
        memmove(end, end + there - 4096, 4097);
        there = 4096;
    }
    memcpy(end + there, bytes, length);
    end[there + length] = '\0';
    return 0;
}

static long counted(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found ? strtol(found + strlen(name), NULL, 10) : 0;
}

static void compile_step(struct chain *chain)
{
    char both[sizeof compile + sizeof check];
    memcpy(both, compile, sizeof compile);
    memcpy(both + sizeof compile, check, sizeof check);
    dstore_step *step = next(chain, "compile", both, sizeof both);
    if (!step)
        return;
    dstore_lease *lease;
    TRY("cache", dstore_store_cache(chain->store, "ccache", BUILDER, BUILDER, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));

    dstore_command *command = script("cat >check.c");
    dstore_command_stdin(command, check, sizeof check - 1, NULL);
    TRY("compile", dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);

    char end[8192] = "";
    command = script(compile);
    dstore_command_env(command, "CCACHE_DIR", "/ccache", NULL);
    dstore_command_lease(command, lease, "/ccache", NULL);
    TRY("compile", dstore_step_run(step, command, keep_end, end, NULL, &error));
    dstore_command_free(command);
    done("compile", step);

    TRY("cache", dstore_lease_release(lease, NULL, &error));
    dstore_lease_free(lease);
    chain->ccache_hits = counted(end, "direct_cache_hit\t") + counted(end, "preprocessed_cache_hit\t");
    chain->ccache_misses = counted(end, "cache_miss\t");
}

/* ---------------------------------------------------------------- one build */

static void build(const dstore_store *store, int number, char **argv, const char *change)
{
    struct chain chain = {.store = store};
    struct stat userland;
    char command[2000];
    printf("Build %d%s:\n", number, change ? ", one file changed" : "");

    if (stat(argv[2], &userland) != 0)
        die(argv[2], "does not exist");
    int length = snprintf(command, sizeof command, "%lld %lld", (long long)userland.st_size, (long long)userland.st_mtime);
    dstore_step *step = next(&chain, "userland", command, (size_t)length);
    if (step) {
        TRY("userland", dstore_step_import_file(step, argv[2], NULL, NULL, &error));
        done("userland", step);
    }
    snprintf(command, sizeof command,
             "tar -C '%s' --sort=name --mtime=@0 --owner=build:%d --group=build:%d --transform='s,^[.],src,' -cf - .", argv[3],
             BUILDER, BUILDER);
    copy_step(&chain, "source", command);
    run_step(&chain, "configure", "[ ! -x configure ] || ./configure --static");
    if (change) {
        snprintf(command, sizeof command,
                 "d=$(mktemp -d) && mkdir $d/src && cp '%s/adler32.c' $d/src && "
                 "echo 'const char changed[] = \"%s\";' >>$d/src/adler32.c && "
                 "tar -C $d --mtime=@0 --owner=build:%d --group=build:%d -cf - src/adler32.c && rm -r $d",
                 argv[3], change, BUILDER, BUILDER);
        copy_step(&chain, "change", command);
    }
    compile_step(&chain);

    /* Passes both files of the result through a pipe to tar. */
    const char *files[] = {"/src/libz.a", "/src/check"};
    snprintf(command, sizeof command, "mkdir -p '%s' && tar -C '%s' --no-same-owner -xf -", argv[4], argv[4]);
    for (size_t i = 0; i < 2; i++) {
        FILE *tar = start(command, "w");
        TRY("copy out", dstore_store_copy_out(store, chain.id, files[i], 0, NULL, to_stream, tar, NULL, &error));
        finish(command, tar);
    }
    snprintf(command, sizeof command, "'%s/check'", argv[4]);
    char said[200] = "";
    FILE *program = start(command, "r");
    if (!fgets(said, sizeof said, program))
        die(command, "prints nothing");
    finish(command, program);
    printf("  on this machine: %s", said);
    dstore_string_free(chain.id);
    printf("build %d: %d store hits, %d built; ccache: %ld hits, %ld misses\n\n", number, chain.hits, chain.built,
           chain.ccache_hits, chain.ccache_misses);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "Usage: %s ROOT USERLAND.tar ZLIB_DIR OUT_DIR [CHANGE]\n", argv[0]);
        return 2;
    }
    char change[40];
    snprintf(change, sizeof change, "changed at %lld", (long long)time(NULL));
    dstore_store *store;
    TRY("open", dstore_store_open(argv[1], NULL, &store, &error));
    build(store, 1, argv, NULL);
    build(store, 2, argv, argc == 6 ? argv[5] : change);
    TRY("close", dstore_store_close(store, &error));
    dstore_store_free(store);
    return 0;
}

/* A host that may only write small files (ulimit -f): a longer one is an error or is truncated, and no SIGXFSZ kills it. */
#include "test.h"

#include <sys/resource.h>
#include <sys/stat.h>

enum { LONGEST = 64 * 1024 };

static dstore_status babble(const dstore_store *store, const char *id)
{
    dstore_step *step = begin(store, "base", id);
    dstore_command *command = sh("head -c 300000 /bin/busybox | od | head -c 300000");
    dstore_error *error = NULL;
    dstore_status status = dstore_step_run(step, command, NULL, NULL, NULL, &error);
    if (status != DSTORE_OK)
        CHECK(strstr(dstore_error_message(error), "RLIMIT_FSIZE"));
    dstore_error_free(error);
    dstore_command_free(command);
    OK(dstore_step_abort(step, &error));
    dstore_step_free(step);

    char *log;
    struct stat found;
    OK(dstore_store_log_file(store, id, &log, &error));
    CHECK(stat(log, &found) == 0 && found.st_size <= LONGEST && found.st_size > LONGEST / 2);
    dstore_string_free(log);
    return status;
}

static dstore_store *open_with(const char *root, bool drop)
{
    dstore_options *options = dstore_options_new();
    OK(dstore_options_log_limit(options, UINT64_MAX, drop, &error));
    dstore_store *store;
    OK(dstore_store_open(root, options, &store, &error));
    dstore_options_free(options);
    return store;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = LONGEST;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);

    dstore_store *store = open_with(argv[1], false);
    import_base(store, argv[2]);
    CHECK(babble(store, "fails") == DSTORE_IO);

    char file[1000], content[10] = "";
    snprintf(file, sizeof file, "%s.tar", argv[1]);
    FILE *old = fopen(file, "w");
    CHECK(old && fputs("old", old) >= 0 && fclose(old) == 0);
    EXPECT(DSTORE_IO, dstore_store_copy_out_file(store, "base", "/bin/busybox", 0, NULL, file, NULL, &error));
    old = fopen(file, "r");
    CHECK(old && fgets(content, sizeof content, old) && strcmp(content, "old") == 0);
    fclose(old);
    unlink(file);
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);

    store = open_with(argv[1], true);
    CHECK(babble(store, "goes-on") == DSTORE_OK);
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    puts("ok");
    return 0;
}

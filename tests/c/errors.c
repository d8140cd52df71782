/* Bad input gets a clear error and loses nothing: hostile names, text that is not UTF-8, unknown numbers, handles used after
 * they were closed, callbacks that fail and callbacks that make calls. NULL is tested by a generated program: see
 * tests/capi_c.rs. */
#include "test.h"

#include <errno.h>

static const char *base_tar;
static char long_name[10001];

/* ---------------------------------------------------------------- names */

static void hostile_ids(const dstore_store *store)
{
    const char *ids[] = {"",      "../x", "a b", "A",  "x\r\nHost: y", "%2f", long_name, "\xf0\x9f\x98\x80",
                         "tmp-x", "a/b",  "a:b", "-a", "\xff\xfe"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *id = ids[i];
        bool present = true, deleted = true;
        dstore_step *step = (dstore_step *)&step;
        char *path = (char *)&path;
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_result(store, id, &present, &error));
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_delete(store, id, &deleted, &error));
        CHECK(present && deleted); /* as they were */
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_begin(store, "base", id, 0, NULL, &step, &error));
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_begin(store, id, "fine", 0, NULL, &step, &error));
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_log_file(store, id, &path, &error));
        CHECK(!step && !path); /* nothing to free */
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_copy_out_file(store, id, "/bin", 0, NULL, "/nowhere/x.tar", NULL, &error));
    }
}

/* Any name and any parts result in an id that a store accepts, the same from all languages. */
static void made_ids(const dstore_store *store)
{
    const char *names[] = {"", "../x", "A b", "x\r\nHost: y", long_name, "\xf0\x9f\x98\x80", "tmp-x", "\xff\xfe"};
    const char *parts[] = {"base", "\0\xff"}, *split[] = {"bas", "e"};
    size_t lengths[] = {4, 2};
    char *id, *other;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool present = true;
        OK(dstore_id(names[i], parts, lengths, 2, &id, &error));
        OK(dstore_store_result(store, id, &present, &error));
        CHECK(!present);
        dstore_string_free(id);
    }
    OK(dstore_id("Compile foo.c!", parts, lengths, 2, &id, &error));
    CHECK(strcmp(id, "compile-foo-c-0a19f0228d163f358e06b906fae27f7134e723b892c7ac5a448661351e821bc8") == 0);
    dstore_string_free(id);
    OK(dstore_id("x", parts, NULL, 1, &id, &error));
    OK(dstore_id("x", split, NULL, 2, &other, &error));
    CHECK(strcmp(id, other) != 0);
    dstore_string_free(other);
    dstore_string_free(id);
    OK(dstore_id("x", NULL, NULL, 0, &id, &error));
    dstore_string_free(id);
}

static void odd_cache_names(const dstore_store *store)
{
    const char *names[] = {"../x", "a b", "A", "x\r\nHost: y", "%2f", long_name, "\xf0\x9f\x98\x80", "\xff\xfe", "a_b", "a/b"};
    const size_t count = sizeof names / sizeof *names;
    for (size_t i = 0; i < count; i++) {
        dstore_lease *lease;
        OK(dstore_store_cache(store, names[i], 1000, 1000, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));
        for (const char *c = dstore_lease_volume(lease); *c; c++)
            CHECK(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *c));
        CHECK(strlen(dstore_lease_volume(lease)) < 255);
        OK(dstore_lease_discard(lease, &error));
        EXPECT(DSTORE_CLOSED, dstore_lease_discard(lease, &error));
        dstore_lease_free(lease);
    }
    OK(dstore_store_complete_deletes(store, 60000, NULL, &error));
    dstore_caches *caches;
    OK(dstore_store_caches(store, &caches, &error));
    CHECK(dstore_caches_count(caches) == count);
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *name = dstore_caches_name(caches, i, &length);
        size_t same = 0;
        CHECK(strlen(name) == length);
        for (size_t j = 0; j < count; j++)
            same += strcmp(names[j], name) == 0;
        CHECK(same == 1);
        OK(dstore_store_delete_cache(store, name, NULL, &error));
    }
    dstore_caches_free(caches);
    dstore_lease *lease = (dstore_lease *)&lease;
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_cache(store, "", 0, 0, 0, 0, NULL, &lease, &error));
    CHECK(!lease);
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_delete_cache(store, "", NULL, &error));
}

/* ---------------------------------------------------------------- numbers and settings */

static void unknown_numbers(const dstore_store *store)
{
    dstore_lease *lease;
    uint64_t value;
    const int32_t unknown[] = {-1, 99, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        dstore_options *options = dstore_options_new();
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_options_strategy(options, unknown[i], &error));
        dstore_options_free(options);
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_cache(store, "c", 0, 0, unknown[i], 0, NULL, &lease, &error));
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_count(store, unknown[i], &value, &error));
        EXPECT(DSTORE_INVALID_ARGUMENT, dstore_log_collect(unknown[i], &error));
    }
}

static void a_setter_that_fails_is_remembered(const dstore_store *store, const char *root)
{
    dstore_options *options = dstore_options_new();
    dstore_store *other;
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_options_engine(options, "\xff", &error));
    OK(dstore_options_engine(options, "unix:///var/run/docker.sock", &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_open(root, options, &other, &error));
    dstore_options_free(options);

    dstore_step *step = begin(store, "base", "sticky");
    dstore_command *command = sh("true");
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_command_env(command, "A", "\xc3", &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);
    /* Bad arguments do not fail the step. */
    run(step, "true");
    OK(dstore_step_abort(step, &error));
    dstore_step_free(step);
}

static void roots_and_engines(const char *root)
{
    char path[2000];
    dstore_store *store = (dstore_store *)&store;
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_open(base_tar, NULL, &store, &error));
    CHECK(!store);
    snprintf(path, sizeof path, "%s/no/parent", root);
    EXPECT(DSTORE_IO, dstore_store_open(path, NULL, &store, &error));

    const struct {
        const char *address;
        dstore_status status;
    } engines[] = {{"unix:///nowhere/docker.sock", DSTORE_UNREACHABLE}, {"nonsense://x", DSTORE_INVALID_ARGUMENT}};
    for (size_t i = 0; i < 2; i++) {
        dstore_options *options = dstore_options_new();
        OK(dstore_options_engine(options, engines[i].address, &error));
        EXPECT(engines[i].status, dstore_store_open(root, options, &store, &error));
        dstore_options_free(options);
    }
    dstore_options *options = dstore_options_new();
    OK(dstore_options_name(options, "Not A Word", &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_store_open(root, options, &store, &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_options_connect_timeout(options, 0, &error));
    dstore_options_free(options);
}

/* ---------------------------------------------------------------- commands and files */

static int32_t half_a_tar(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    FILE *file = user_data;
    if (ftell(file) > 100000)
        return 0;
    *length = fread(buffer, 1, capacity < 1000 ? capacity : 1000, file);
    return 0;
}

static void bad_commands(const dstore_store *store)
{
    dstore_step *step = begin(store, "base", "bad");
    dstore_command *command;
    OK(dstore_command_new(NULL, 0, &command, &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);
    command = sh("true");
    OK(dstore_command_stdin_file(command, "/nowhere", &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);

    dstore_error *error;
    CHECK(dstore_step_copy_in_file(step, "/x", "/nowhere.tar", &error) == DSTORE_IO);
    CHECK(dstore_error_os_errno(error) == ENOENT && dstore_error_http_status(error) == 0);
    CHECK(dstore_error_exit_code(error) == -1);
    dstore_error_free(error);
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_copy_in_file(step, "relative", base_tar, &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_import_file(step, base_tar, NULL, NULL, &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_pull(step, "x", "user", NULL, NULL, NULL, NULL, &error));

    /* The refusals so far have not failed the step; this does. */
    const char *argv[] = {"no-such-program"};
    OK(dstore_command_new(argv, 1, &command, &error));
    CHECK(!dstore_step_was_started(step));
    CHECK(dstore_step_run(step, command, NULL, NULL, NULL, &error) == DSTORE_NOT_STARTED);
    CHECK(dstore_error_exit_code(error) == 127);
    dstore_error_free(error);
    dstore_command_free(command);
    EXPECT(DSTORE_CONFLICT, dstore_step_commit(step, &error));
    dstore_step_free(step);
    CHECK(!present(store, "bad"));

    step = begin(store, "base", "bad");
    FILE *file = fopen(base_tar, "rb");
    EXPECT(DSTORE_CUT_SHORT, dstore_step_copy_in(step, "/x", half_a_tar, file, &error));
    fclose(file);
    dstore_step_free(step);

    step = begin(store, NULL, "images");
    EXPECT(DSTORE_NOT_FOUND, dstore_step_use_image(step, "no-such-image-anywhere", &error));
    dstore_step_free(step);
}

/* ---------------------------------------------------------------- callbacks that fail */

static int32_t refuse_output(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)channel, (void)bytes, (void)length;
    ++*(int *)user_data;
    return 7;
}

static int32_t refuse_progress(void *user_data, const char *status, const char *item, uint64_t current, uint64_t total)
{
    (void)status, (void)item, (void)current, (void)total;
    ++*(int *)user_data;
    return 7;
}

static int32_t refuse_read(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    (void)buffer, (void)capacity, (void)length;
    ++*(int *)user_data;
    return 7;
}

static int32_t read_too_much(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    (void)user_data, (void)buffer;
    *length = capacity + 1;
    return 0;
}

static int32_t refuse_write(void *user_data, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    ++*(int *)user_data;
    return 7;
}

static int32_t refuse_work(void *user_data, dstore_step *step)
{
    ++*(int *)user_data;
    run(step, "echo half >/half");
    return 7;
}

static void callbacks_that_say_no(const dstore_store *store)
{
    int calls = 0;
    dstore_step *step = begin(store, "base", "no");
    dstore_command *command = sh("echo one; sleep 1000");
    EXPECT(DSTORE_CALLBACK, dstore_step_run(step, command, refuse_output, &calls, NULL, &error));
    dstore_command_free(command);
    EXPECT(DSTORE_CONFLICT, dstore_step_commit(step, &error));
    dstore_step_free(step);

    step = begin(store, "base", "no");
    EXPECT(DSTORE_CALLBACK, dstore_step_copy_in(step, "/x", refuse_read, &calls, &error));
    dstore_step_free(step);
    step = begin(store, "base", "no");
    EXPECT(DSTORE_CALLBACK, dstore_step_copy_in(step, "/x", read_too_much, NULL, &error));
    dstore_step_free(step);
    step = begin(store, "base", "no");
    EXPECT(DSTORE_CALLBACK, dstore_step_copy_out(step, "/bin/busybox", refuse_write, &calls, NULL, &error));
    dstore_step_free(step);
    step = begin(store, NULL, "no");
    EXPECT(DSTORE_CALLBACK, dstore_step_import(step, refuse_read, &calls, NULL, NULL, &error));
    dstore_step_free(step);
    step = begin(store, NULL, "no");
    EXPECT(DSTORE_CALLBACK, dstore_step_import_file(step, base_tar, refuse_progress, &calls, &error));
    dstore_step_free(step);
    EXPECT(DSTORE_CALLBACK, dstore_store_copy_out(store, "base", "/bin/busybox", 0, NULL, refuse_write, &calls, NULL, &error));
    dstore_outcome outcome = DSTORE_HIT;
    EXPECT(DSTORE_CALLBACK, dstore_store_build(store, "base", "no", 0, NULL, refuse_work, &calls, &outcome, &error));
    CHECK(outcome == DSTORE_HIT); /* as it was */
    CHECK(calls == 7);
    CHECK(!present(store, "no"));
    run(step = begin(store, "base", "no"), "test ! -e /half && echo whole >/whole");
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);
}

/* ---------------------------------------------------------------- callbacks that make calls */

struct back {
    const dstore_store *store;
    dstore_step *step;
    int calls;
};

static int32_t call_back(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)channel, (void)bytes, (void)length;
    struct back *back = user_data;
    dstore_command *command = sh("true");
    /* On the step that is in use: an error, and not a deadlock. */
    EXPECT(DSTORE_BUSY, dstore_step_run(back->step, command, NULL, NULL, NULL, &error));
    EXPECT(DSTORE_BUSY, dstore_step_write_log(back->step, "x", 1, &error));
    EXPECT(DSTORE_BUSY, dstore_step_commit(back->step, &error));
    EXPECT(DSTORE_BUSY, dstore_step_abort(back->step, &error));
    dstore_command_free(command);
    /* On other objects: allowed. */
    CHECK(strcmp(dstore_step_id(back->step), "back") == 0);
    CHECK(present(back->store, "base") && !present(back->store, "back"));
    dstore_step *other = begin(back->store, "base", "inner");
    run(other, "true");
    OK(dstore_step_abort(other, &error));
    dstore_step_free(other);
    back->calls++;
    return 0;
}

static int32_t end_the_step(void *user_data, dstore_step *step)
{
    (void)user_data;
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_commit(step, &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_abort(step, &error));
    dstore_step_free(step); /* does nothing */
    run(step, "true");
    return 0;
}

static void callbacks_that_call_back(const dstore_store *store)
{
    dstore_step *step = begin(store, "base", "back");
    struct back back = {store, step, 0};
    dstore_command *command = sh("echo once");
    OK(dstore_step_run(step, command, call_back, &back, NULL, &error));
    CHECK(back.calls == 1);
    dstore_command_free(command);
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);
    OK(dstore_store_build(store, "base", "ends", 0, NULL, end_the_step, NULL, NULL, &error));
    CHECK(present(store, "ends"));
}

/* ---------------------------------------------------------------- the log */

static int32_t take_line(void *user_data, int32_t level, const char *line, size_t length)
{
    CHECK(level >= DSTORE_LOG_ERROR && level <= DSTORE_LOG_TRACE && strlen(line) == length);
    ++*(int *)user_data;
    return 0;
}

static void the_log(const dstore_store *store)
{
    int lines = 0;
    OK(dstore_log_fetch(0, take_line, &lines, &error));
    CHECK(lines == 0); /* none were requested */
    OK(dstore_log_collect(DSTORE_LOG_TRACE, &error));
    OK(dstore_log_collect(DSTORE_LOG_INFO, &error));
    present(store, "base");
    OK(dstore_log_fetch(10, take_line, &lines, &error));
    OK(dstore_log_collect(DSTORE_LOG_OFF, &error));
}

/* ---------------------------------------------------------------- after the close */

static void after_the_end(dstore_store *store)
{
    dstore_lease *lease;
    OK(dstore_store_cache(store, "late", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));
    dstore_lease *ended;
    OK(dstore_store_cache(store, "late", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &ended, &error));
    dstore_released released;
    dstore_cancel *cancel = dstore_cancel_new();
    dstore_cancel_trigger(cancel);
    EXPECT(DSTORE_CANCELLED, dstore_lease_release_within(ended, 0, cancel, NULL, &error));
    dstore_cancel_free(cancel);
    OK(dstore_lease_release_within(ended, 60000, NULL, &released, &error));
    CHECK(released == DSTORE_RELEASE_UNCHANGED);
    dstore_command *command = sh("true");
    EXPECT(DSTORE_CLOSED, dstore_command_lease(command, ended, "/late", &error));
    dstore_lease_free(ended);
    OK(dstore_store_delete_cache(store, "late", NULL, &error));

    dstore_step *step = begin(store, "base", "late");
    OK(dstore_store_close(store, &error));

    bool flag = true;
    char *path;
    uint64_t count;
    double percent;
    dstore_step *other = (dstore_step *)&other;
    dstore_results *results;
    dstore_caches *caches;
    EXPECT(DSTORE_CLOSED, dstore_step_commit(step, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_write_log(step, "x", 1, &error));
    EXPECT(DSTORE_CLOSED, dstore_lease_release(lease, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_result(store, "base", &flag, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_delete(store, "base", &flag, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_begin(store, "base", "x", 0, NULL, &other, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_build(store, "base", "x", 0, NULL, end_the_step, NULL, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_results(store, &results, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_caches(store, &caches, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_cache(store, "c", 0, 0, 0, 0, NULL, &ended, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_delete_cache(store, "c", NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_copy_out_file(store, "base", "/bin", 0, NULL, "/nowhere/x", NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_df(store, &percent, NULL, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_purge(store, NULL, NULL, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_close(store, &error));
    CHECK(flag && !other && !results && !caches && !ended);
    /* Removals caused by frees from now on can still be waited for. */
    OK(dstore_store_complete_deletes(store, 0, NULL, &error));
    /* Calls without a request to the engine still work. */
    OK(dstore_store_count(store, DSTORE_COUNT_RESULT_HITS, &count, &error));
    OK(dstore_store_log_file(store, "base", &path, &error));
    CHECK(strstr(path, dstore_store_root(store)) == path);
    dstore_string_free(path);

    dstore_command_free(command);
    dstore_store_free(store);
    dstore_step_free(step);
    dstore_lease_free(lease);
    /* What they held is removed in the background; valgrind would report a thread that is still running. */
    pause_ms(2000);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    base_tar = argv[2];
    memset(long_name, 'a', sizeof long_name - 1);

    dstore_store *store;
    OK(dstore_store_open(argv[1], NULL, &store, &error));
    import_base(store, base_tar);
    hostile_ids(store);
    made_ids(store);
    odd_cache_names(store);
    unknown_numbers(store);
    a_setter_that_fails_is_remembered(store, argv[1]);
    roots_and_engines(argv[1]);
    bad_commands(store);
    callbacks_that_say_no(store);
    callbacks_that_call_back(store);
    the_log(store);
    after_the_end(store);
    puts("ok");
    return 0;
}

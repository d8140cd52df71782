/* A store's life: open, a base, steps with a cache, hits and misses, a log while it grows, a cancel
 * from another thread, lists, files out, delete, purge, close. */
#include "test.h"

static const char *base_tar;

/* ---------------------------------------------------------------- a base */

static int32_t note_progress(void *user_data, const char *status, const char *item, uint64_t current, uint64_t total)
{
    uint64_t *last = user_data;
    CHECK(*status && item);
    CHECK(current >= *last && current <= total);
    *last = current;
    return 0;
}

static void import(const dstore_store *store)
{
    uint64_t imported = 0;
    dstore_step *step = begin(store, NULL, "base");
    OK(dstore_step_import_file(step, base_tar, note_progress, &imported, &error));
    CHECK(imported > 0);
    OK(dstore_step_commit(step, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_commit(step, &error));
    dstore_step_free(step);
    CHECK(present(store, "base"));
}

/* ---------------------------------------------------------------- steps that share a cache */

struct output {
    char out[100], err[100];
};

static int32_t collect(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    struct output *output = user_data;
    CHECK(length > 0 && (channel == DSTORE_STDOUT || channel == DSTORE_STDERR));
    char *text = channel == DSTORE_STDOUT ? output->out : output->err;
    CHECK(strlen(text) + length < sizeof output->out);
    strncat(text, bytes, length);
    return 0;
}

static void build(const dstore_store *store, const char *base, const char *id, uint64_t generation, const char *seen)
{
    dstore_lease *lease;
    OK(dstore_store_cache(store, "scratch", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));
    CHECK(dstore_lease_generation(lease) == generation);
    CHECK(strncmp(dstore_lease_volume(lease), dstore_store_prefix(store), strlen(dstore_store_prefix(store))) == 0);

    dstore_step *step = begin(store, base, id);
    OK(dstore_step_write_log(step, "begin\n", 6, &error));
    dstore_command *command = sh("cat /cache/seen; echo $NAME >>/cache/seen; echo $NAME >/made-by; echo done >&2");
    OK(dstore_command_env(command, "NAME", id, &error));
    OK(dstore_command_lease(command, lease, "/cache", &error));
    struct output output = {"", ""};
    int64_t code = -1;
    OK(dstore_step_run(step, command, collect, &output, &code, &error));
    dstore_command_free(command);
    CHECK(code == 0);
    CHECK(strcmp(output.out, seen) == 0);
    CHECK(strstr(output.err, "done\n"));
    bool building = false;
    OK(dstore_store_building(store, id, &building, &error));
    CHECK(building);
    OK(dstore_step_commit(step, &error));
    OK(dstore_store_building(store, id, &building, &error));
    CHECK(!building);
    dstore_step_free(step);

    dstore_released released;
    OK(dstore_lease_release(lease, &released, &error));
    CHECK(released == DSTORE_RELEASE_WON);
    EXPECT(DSTORE_CLOSED, dstore_lease_release(lease, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_lease_discard(lease, &error));
    dstore_lease_free(lease);
}

static int32_t write_hello(void *user_data, dstore_step *step)
{
    ++*(int *)user_data;
    run(step, "echo hello >/hello");
    return 0;
}

static void build_by_callback(const dstore_store *store)
{
    int runs = 0;
    dstore_outcome outcome;
    OK(dstore_store_build(store, "two", "three", 0, NULL, write_hello, &runs, &outcome, &error));
    CHECK(outcome == DSTORE_BUILT && runs == 1);
    OK(dstore_store_build(store, "two", "three", 0, NULL, write_hello, &runs, &outcome, &error));
    CHECK(outcome == DSTORE_HIT && runs == 1);
}

static void look_up(const dstore_store *store)
{
    CHECK(present(store, "one") && present(store, "two") && !present(store, "four"));
    dstore_step *step = (dstore_step *)&step;
    OK(dstore_store_begin(store, "one", "two", 0, NULL, &step, &error));
    CHECK(step == NULL);
    step = (dstore_step *)&step;
    EXPECT(DSTORE_NOT_FOUND, dstore_store_begin(store, "nowhere", "four", 0, NULL, &step, &error));
    CHECK(step == NULL);
}

/* ---------------------------------------------------------------- threads */

struct job {
    const dstore_store *store;
    const char *id, *script;
    const dstore_cancel *cancel;
    dstore_status expected, got;
};

/* Runs a script in a step of its own, and commits or aborts it. */
static void *work(void *user_data)
{
    struct job *job = user_data;
    dstore_step *step;
    OK(dstore_store_begin(job->store, "base", job->id, 0, job->cancel, &step, &error));
    CHECK(step);
    dstore_command *command = sh(job->script);
    EXPECT(job->expected, job->got = dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);
    if (job->got == DSTORE_OK)
        OK(dstore_step_commit(step, &error));
    else
        OK(dstore_step_abort(step, &error));
    dstore_step_free(step);
    return NULL;
}

static void read_a_log_while_it_grows(const dstore_store *store)
{
    struct job job = {store, "talker", "echo first; sleep 2; echo second", NULL, DSTORE_OK, DSTORE_INTERNAL};
    char *log;
    OK(dstore_store_log_file(store, "talker", &log, &error));
    CHECK(access(log, F_OK) != 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, &job) == 0);
    until_file_has(log, "first\n");
    CHECK(!file_has(log, "second"));
    CHECK(!present(store, "talker"));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(file_has(log, "first\nsecond\n"));
    CHECK(present(store, "talker"));
    dstore_string_free(log);
}

/* What a waiting caller has read, and the step that it waits for: NULL if the wait is to end. */
struct followed {
    char text[100];
    size_t length;
    dstore_step *step;
};

/* The build ends once the wait for it has read its first line. */
static int32_t follow(void *user_data, uint32_t attempt, const char *bytes, size_t length)
{
    struct followed *followed = user_data;
    CHECK(attempt == 1 && length > 0 && followed->length + length < sizeof followed->text);
    memcpy(followed->text + followed->length, bytes, length);
    followed->length += length;
    if (!followed->step)
        return 7;
    if (followed->length == 6) {
        OK(dstore_step_write_log(followed->step, "second\n", 7, &error));
        OK(dstore_step_commit(followed->step, &error));
    }
    return 0;
}

static void read_along_while_another_builds(const dstore_store *store)
{
    dstore_step *other = begin(store, "base", "waited-for"), *step = other;
    OK(dstore_step_write_log(other, "first\n", 6, &error));
    struct followed stopped = {.step = NULL}, followed = {.step = other};
    EXPECT(DSTORE_CALLBACK,
           dstore_store_begin_following(store, "base", "waited-for", 0, NULL, follow, &stopped, &step, &error));
    CHECK(step == NULL && strcmp(stopped.text, "first\n") == 0);
    EXPECT(DSTORE_TIMED_OUT, dstore_store_begin_following(store, "base", "waited-for", 100, NULL, NULL, NULL, &step, &error));
    step = other;
    OK(dstore_store_begin_following(store, "base", "waited-for", 0, NULL, follow, &followed, &step, &error));
    CHECK(step == NULL && strcmp(followed.text, "first\nsecond\n") == 0);
    dstore_step_free(other);
    /* The image of the base once more: in sums of all it would count twice. */
    OK(dstore_store_delete(store, "waited-for", NULL, &error));
}

static void cancel_a_step(const dstore_store *store)
{
    dstore_cancel *cancel = dstore_cancel_new();
    CHECK(cancel && !dstore_cancel_is_triggered(cancel));
    struct job job = {store, "sleeper", "echo asleep; sleep 1000", cancel, DSTORE_CANCELLED, DSTORE_OK};
    char *log;
    OK(dstore_store_log_file(store, "sleeper", &log, &error));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, &job) == 0);
    until_file_has(log, "asleep\n");
    time_t began = time(NULL);
    dstore_cancel_trigger(cancel);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(time(NULL) - began < 60);
    CHECK(dstore_cancel_is_triggered(cancel));
    dstore_cancel_free(cancel);
    dstore_string_free(log);

    CHECK(!present(store, "sleeper"));
    struct job again = {store, "sleeper", "true", NULL, DSTORE_OK, DSTORE_INTERNAL};
    work(&again);
    CHECK(present(store, "sleeper"));
}

/* ---------------------------------------------------------------- commands */

static void surroundings(const dstore_store *store)
{
    const char *words[] = {"-c", "id -u; pwd; hostname; cat; cat /run/key; echo \"$1\""};
    const char *entrypoint[] = {"/bin/sh"};
    dstore_command *command;
    OK(dstore_command_new(words, 2, &command, &error));
    OK(dstore_command_entrypoint(command, entrypoint, 1, &error));
    OK(dstore_command_arg(command, "zero", &error));
    OK(dstore_command_arg(command, "first", &error));
    OK(dstore_command_user(command, "1000:1000", &error));
    OK(dstore_command_cwd(command, "/usr", &error));
    OK(dstore_command_hostname(command, "box", &error));
    OK(dstore_command_network(command, "none", &error));
    OK(dstore_command_nano_cpus(command, 1000000000, &error));
    OK(dstore_command_memory(command, 64 << 20, &error));
    OK(dstore_command_stdin(command, "input\n", 6, &error));
    OK(dstore_command_secret(command, "/run/key", "secret\n", 7, 1000, 1000, 0400, &error));
    OK(dstore_command_timeout(command, 60000, &error));
    struct output output = {"", ""};
    dstore_step *step = begin(store, "base", "odd");
    OK(dstore_step_run(step, command, collect, &output, NULL, &error));
    CHECK(strcmp(output.out, "1000\n/usr\nbox\ninput\nsecret\nfirst\n") == 0);
    dstore_command_free(command);

    int64_t code;
    const char *nowhere[] = {"/nowhere"};
    OK(dstore_command_new(nowhere, 1, &command, &error));
    OK(dstore_command_allow_failure(command, true, &error));
    OK(dstore_step_run(step, command, NULL, NULL, &code, &error));
    CHECK(code == 127 && !dstore_step_was_started(step));
    dstore_command_free(command);

    command = sh("exit 7");
    OK(dstore_command_allow_failure(command, true, &error));
    OK(dstore_step_run(step, command, NULL, NULL, &code, &error));
    CHECK(code == 7 && dstore_step_was_started(step));
    OK(dstore_command_allow_failure(command, false, &error));
    dstore_error *error;
    CHECK(dstore_step_run(step, command, NULL, NULL, NULL, &error) == DSTORE_COMMAND_FAILED);
    CHECK(dstore_error_exit_code(error) == 7);
    dstore_error_free(error);
    dstore_command_free(command);
    EXPECT(DSTORE_CONFLICT, dstore_step_write_log(step, "more", 4, &error));
    /* Neither committed nor aborted: the free does that. */
    dstore_step_free(step);
    OK(dstore_store_complete_deletes(store, 60000, NULL, &error));
    CHECK(!present(store, "odd"));

    step = begin(store, "base", "late");
    command = sh("sleep 1000");
    OK(dstore_command_timeout(command, 300, &error));
    EXPECT(DSTORE_TIMED_OUT, dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);
    /* A step that was cancelled blocks its caller only briefly: the worker removes what a busy engine leaves. */
    dstore_status aborted = dstore_step_abort(step, &error);
    CHECK(aborted == DSTORE_OK || aborted == DSTORE_TIMED_OUT);
    if (aborted != DSTORE_OK)
        dstore_error_free(error);
    EXPECT(DSTORE_CLOSED, dstore_step_abort(step, &error));
    dstore_step_free(step);
    OK(dstore_store_complete_deletes(store, 60000, NULL, &error));
    CHECK(!present(store, "late"));
}

/* ---------------------------------------------------------------- files */

static int32_t to_file(void *user_data, const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, user_data) != length;
}

static int32_t from_file(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    CHECK(*length == 0);
    *length = fread(buffer, 1, capacity, user_data);
    return ferror((FILE *)user_data);
}

static void copy_files(const dstore_store *store)
{
    char tar_name[1000], second_name[1000];
    snprintf(tar_name, sizeof tar_name, "%s/hello.tar", dstore_store_state_dir(store));
    snprintf(second_name, sizeof second_name, "%s/second.tar", dstore_store_state_dir(store));

    uint64_t bytes, again;
    OK(dstore_store_copy_out_file(store, "three", "/hello", 0, NULL, tar_name, &bytes, &error));
    CHECK(bytes >= 1024 && file_has(tar_name, "hello"));
    EXPECT(DSTORE_NOT_FOUND, dstore_store_copy_out_file(store, "three", "/nothing", 0, NULL, second_name, NULL, &error));
    CHECK(access(second_name, F_OK) != 0);

    dstore_step *step = begin(store, "base", "copies");
    OK(dstore_step_copy_in_file(step, "/one/deep", tar_name, &error));
    FILE *file = fopen(tar_name, "rb");
    OK(dstore_step_copy_in(step, "/two", from_file, file, &error));
    fclose(file);
    run(step, "cmp /one/deep/hello /two/hello");
    dstore_host_files *files;
    char *sent, *digest;
    OK(dstore_host_files_new(tar_name, &files, &error));
    OK(dstore_host_files_name(files, "renamed", &error));
    OK(dstore_host_files_owner(files, 3, 4, &error));
    OK(dstore_host_files_fixed_times(files, 5, &error));
    OK(dstore_step_copy_in_host(step, "/host", files, &sent, &error));
    OK(dstore_host_files_digest(files, 0, NULL, &digest, &error));
    CHECK(strlen(sent) == 64 && strcmp(sent, digest) == 0);
    dstore_string_free(digest);
    OK(dstore_host_files_keep_owners(files, &error));
    OK(dstore_host_files_dockerignore(files, "# all\n*\n", &error));
    OK(dstore_host_files_include(files, "a", &error));
    OK(dstore_host_files_digest(files, 60000, NULL, &digest, &error));
    CHECK(strcmp(sent, digest) != 0);
    dstore_string_free(digest);
    dstore_string_free(sent);
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_host_files_exclude(files, "[", &error));
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_host_files_digest(files, 0, NULL, &digest, &error));
    CHECK(digest == NULL);
    dstore_host_files_free(files);
    run(step, "test \"$(stat -c '%u %g %Y' /host/renamed)\" = '3 4 5'");
    char folder_name[1000], out_name[1100];
    snprintf(folder_name, sizeof folder_name, "%s/out", dstore_store_state_dir(store));
    snprintf(out_name, sizeof out_name, "%s/renamed", folder_name);
    dstore_host_folder *folder;
    struct stat found;
    OK(dstore_host_folder_new(folder_name, &folder, &error));
    OK(dstore_step_copy_out_host(step, "/host", folder, &again, &error));
    CHECK(stat(out_name, &found) == 0 && found.st_uid == geteuid() && found.st_mtime == 5);
    CHECK((uint64_t)found.st_size == again && file_has(out_name, "hello"));
    OK(dstore_host_folder_keep_modes(folder, &error));
    OK(dstore_host_folder_owner(folder, geteuid(), getegid(), &error));
    OK(dstore_step_copy_out_host(step, "/host/renamed", folder, NULL, &error));
    OK(dstore_store_copy_out_host(store, "three", "/hello", 60000, NULL, folder, &again, &error));
    EXPECT(DSTORE_NOT_FOUND, dstore_store_copy_out_host(store, "three", "/nothing", 0, NULL, folder, NULL, &error));
    EXPECT(DSTORE_NOT_FOUND, dstore_step_copy_out_host(step, "/nothing", folder, NULL, &error));
    if (geteuid() == 0) {
        OK(dstore_host_folder_keep_owners(folder, &error));
        OK(dstore_step_copy_out_host(step, "/host", folder, NULL, &error));
        CHECK(stat(out_name, &found) == 0 && found.st_uid == 3 && found.st_gid == 4);
    }
    dstore_host_folder_free(folder);
    CHECK(unlink(out_name) == 0);
    snprintf(out_name, sizeof out_name, "%s/hello", folder_name);
    CHECK(unlink(out_name) == 0 && rmdir(folder_name) == 0);
    EXPECT(DSTORE_NOT_FOUND, dstore_step_copy_out_file(step, "/nothing", second_name, NULL, &error));
    EXPECT(DSTORE_IO, dstore_step_copy_out_file(step, "/two", "/nowhere/at/all", NULL, &error));
    EXPECT(DSTORE_IO, dstore_step_copy_out_file(step, "/two", dstore_store_state_dir(store), NULL, &error));
    snprintf(out_name, sizeof out_name, "%s/pipe", dstore_store_state_dir(store));
    CHECK(mkfifo(out_name, 0600) == 0);
    EXPECT(DSTORE_INVALID_ARGUMENT, dstore_step_copy_out_file(step, "/two", out_name, NULL, &error));
    CHECK(unlink(out_name) == 0);
    OK(dstore_step_copy_out_file(step, "/two/hello", second_name, &again, &error));
    CHECK(again == bytes);
    file = tmpfile();
    OK(dstore_step_copy_out(step, "/two/hello", to_file, file, &again, &error));
    CHECK(again == bytes && (uint64_t)ftell(file) == bytes);
    fclose(file);
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);

    file = tmpfile();
    OK(dstore_store_copy_out(store, "copies", "/one", 0, NULL, to_file, file, NULL, &error));
    CHECK(ftell(file) > 1024);
    rewind(file);
    /* A tar of files can be a base, too: here one in which nothing can run. */
    step = begin(store, NULL, "files");
    OK(dstore_step_import(step, from_file, file, NULL, NULL, &error));
    fclose(file);
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);
    CHECK(remove(tar_name) == 0 && remove(second_name) == 0);
}

/* ---------------------------------------------------------------- upkeep */

static uint64_t count(const dstore_store *store, int32_t counter)
{
    uint64_t value;
    OK(dstore_store_count(store, counter, &value, &error));
    return value;
}

static void list_and_count(const dstore_store *store)
{
    dstore_results *results;
    OK(dstore_store_results(store, &results, &error));
    size_t found = 0;
    for (size_t i = 0; i < dstore_results_count(results); i++) {
        if (strcmp(dstore_results_id(results, i), "two") == 0) {
            CHECK(dstore_results_size(results, i) > 1000000);
            CHECK(dstore_results_created(results, i) > 1600000000);
            found++;
        }
    }
    CHECK(found == 1);
    CHECK(!dstore_results_id(results, dstore_results_count(results)));
    CHECK(!dstore_results_size(results, (size_t)-1) && !dstore_results_created(results, (size_t)-1));
    dstore_results_free(results);

    dstore_caches *caches;
    OK(dstore_store_caches(store, &caches, &error));
    CHECK(dstore_caches_count(caches) == 1);
    size_t length;
    CHECK(strcmp(dstore_caches_name(caches, 0, &length), "scratch") == 0 && length == 7);
    CHECK(dstore_caches_generation(caches, 0) == 2 && dstore_caches_leases(caches, 0) == 0);
    CHECK(dstore_caches_layers(caches, 0) >= 1 && dstore_caches_strategy(caches, 0) != DSTORE_STRATEGY_AUTOMATIC);
    CHECK(dstore_caches_created(caches, 0) > 1600000000);
    CHECK(dstore_caches_last_use(caches, 0) >= dstore_caches_created(caches, 0));
    CHECK(dstore_caches_bytes(caches, 0) >= -1);
    CHECK(!dstore_caches_name(caches, 1, NULL) && dstore_caches_bytes(caches, 1) == -1);
    dstore_caches_free(caches);

    CHECK(count(store, DSTORE_COUNT_RELEASES_WON) == 2);
    CHECK(count(store, DSTORE_COUNT_RESULT_HITS) == 3);
    CHECK(count(store, DSTORE_COUNT_RESULTS_COMMITTED) >= 5);
    CHECK(count(store, DSTORE_COUNT_CLONE_NANOSECONDS) > 0);

    double percent, root, engine;
    OK(dstore_store_df(store, &percent, &root, &engine, &error));
    CHECK(percent >= 0 && percent <= 100 && percent <= root && engine <= 100);
}

static void is_healthy(const dstore_store *store)
{
    OK(dstore_store_ping(store, 0, NULL, &error));
    dstore_health *health;
    OK(dstore_store_health(store, 60000, NULL, &health, &error));
    CHECK(*dstore_health_engine(health) && *dstore_health_engine_version(health) && *dstore_health_image_store(health));
    CHECK(strcmp(dstore_health_address(health), dstore_store_engine(store)) == 0);
    CHECK(strcmp(dstore_health_api_version(health), dstore_store_api_version(store)) == 0);
    CHECK(strncmp(dstore_health_newest_api_version(health), "1.", 2) == 0);
    dstore_strategy strategy;
    char *reason;
    OK(dstore_store_strategy(store, &strategy, &reason, &error));
    CHECK(dstore_health_strategy(health) == strategy && strcmp(dstore_health_strategy_reason(health), reason) == 0);
    dstore_string_free(reason);
    CHECK(dstore_health_clock_ahead_ms(health) != INT64_MIN);
    CHECK(dstore_health_free_root(health) > 0 && dstore_health_free_engine(health) <= 100);
    size_t troubles = dstore_health_troubles(health);
    for (size_t i = 0; i < troubles; i++)
        CHECK(*dstore_health_trouble(health, i) && *dstore_health_advice(health, i));
    CHECK(!dstore_health_trouble(health, troubles) && !dstore_health_advice(health, troubles));
    dstore_health_free(health);
}

/* How many rows a prune has reported, and what happened to `two`. */
struct told {
    size_t rows;
    int32_t two;
};

static int32_t each_row(void *user_data, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use,
                        int32_t fate, const char *why)
{
    struct told *told = user_data;
    CHECK(strlen(name) == length && last_use > 1600000000 && (*why != 0) == (fate != DSTORE_FATE_REMOVED));
    (void)bytes;
    told->rows++;
    if (item == DSTORE_ITEM_RESULT && strcmp(name, "two") == 0)
        told->two = fate;
    return 0;
}

static int32_t no_more(void *user_data, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use,
                       int32_t fate, const char *why)
{
    (void)user_data, (void)item, (void)name, (void)length, (void)bytes, (void)last_use, (void)fate, (void)why;
    return 7;
}

static void stays_within_bounds(const dstore_store *store)
{
    bool changed;
    OK(dstore_store_pin(store, "two", 0, NULL, &changed, &error));
    CHECK(changed);
    OK(dstore_store_pin(store, "two", 0, NULL, &changed, &error));
    CHECK(!changed);
    OK(dstore_store_pin_cache(store, "scratch", 0, NULL, NULL, &error));
    dstore_pins *pins;
    OK(dstore_store_pins(store, &pins, &error));
    size_t length;
    CHECK(dstore_pins_count(pins) == 2 && dstore_pins_item(pins, 0) == DSTORE_ITEM_RESULT);
    CHECK(strcmp(dstore_pins_name(pins, 1, &length), "scratch") == 0 && length == 7);
    CHECK(dstore_pins_item(pins, 1) == DSTORE_ITEM_CACHE && dstore_pins_since(pins, 1) > 1600000000);
    CHECK(!dstore_pins_name(pins, 2, NULL) && dstore_pins_item(pins, 2) == 0);
    dstore_pins_free(pins);

    dstore_usage *usage;
    OK(dstore_store_usage(store, 60000, NULL, &usage, &error));
    uint64_t own = 0;
    bool two = false;
    for (size_t i = 0; i < dstore_usage_results(usage); i++) {
        own += dstore_usage_result_own_bytes(usage, i);
        CHECK(dstore_usage_result_own_bytes(usage, i) <= dstore_usage_result_bytes(usage, i));
        CHECK(strncmp(dstore_usage_result_image(usage, i), "sha256:", 7) == 0);
        CHECK(dstore_usage_result_created(usage, i) > 1600000000);
        CHECK(dstore_usage_result_last_use(usage, i) > 1600000000 && dstore_usage_result_build_ms(usage, i) >= 0);
        CHECK(!dstore_usage_result_building(usage, i) && !dstore_usage_result_held(usage, i));
        if (strcmp(dstore_usage_result_id(usage, i), "two") == 0) {
            two = true;
            CHECK(dstore_usage_result_pinned(usage, i) && dstore_usage_result_base(usage, i));
            CHECK(dstore_usage_result_log_bytes(usage, i) > 0);
        }
    }
    CHECK(two && own == dstore_usage_results_bytes(usage) && *dstore_usage_how(usage));
    CHECK(dstore_usage_results_unknown(usage) == 0 && !dstore_usage_result_id(usage, 1000));
    CHECK(dstore_caches_count(dstore_usage_caches(usage)) == 1 && dstore_usage_cache_pinned(usage, 0));
    CHECK(dstore_usage_caches_bytes(usage) > 0 || dstore_usage_caches_unknown(usage) > 0);
    uint64_t logs = 0;
    for (size_t i = 0; i < dstore_usage_logs(usage); i++) {
        logs += dstore_usage_log_bytes(usage, i);
        CHECK(*dstore_usage_log_id(usage, i) && dstore_usage_log_written(usage, i) > 1600000000);
    }
    CHECK(logs == dstore_usage_logs_bytes(usage) && !dstore_usage_log_has_result(usage, 1000));
    CHECK(dstore_usage_left_containers(usage) + dstore_usage_left_images(usage) + dstore_usage_left_volumes(usage) == 0);
    dstore_usage_free(usage);

    dstore_policy *policy = dstore_policy_new();
    OK(dstore_policy_most_bytes(policy, 0, &error));
    OK(dstore_policy_least_free_bytes(policy, 1, &error));
    OK(dstore_policy_least_free_percent(policy, 0, &error));
    OK(dstore_policy_unused_for(policy, 0, &error));
    OK(dstore_policy_keep_results(policy, 1, &error));
    OK(dstore_policy_spare(policy, 0, &error));
    OK(dstore_policy_results(policy, true, &error));
    OK(dstore_policy_caches(policy, true, &error));
    OK(dstore_policy_logs(policy, true, &error));
    OK(dstore_policy_dry_run(policy, true, &error));
    dstore_pruned *pruned;
    dstore_error *error = NULL;
    CHECK(dstore_store_prune(store, policy, 0, NULL, no_more, NULL, &pruned, &error) == DSTORE_CALLBACK && !pruned);
    CHECK(strstr(dstore_error_message(error), "7"));
    dstore_error_free(error);
    error = NULL;
    struct told told = {0, 0};
    OK(dstore_store_prune(store, policy, 60000, NULL, each_row, &told, &pruned, &error));
    CHECK(told.rows == dstore_pruned_count(pruned) && told.two == DSTORE_FATE_SPARED);
    CHECK(dstore_pruned_item(pruned, 0) == DSTORE_ITEM_RESULT && dstore_pruned_fate(pruned, 0) == DSTORE_FATE_SPARED);
    CHECK(strcmp(dstore_pruned_name(pruned, 0, &length), "two") == 0 && length == 3 && *dstore_pruned_why(pruned, 0));
    CHECK(dstore_pruned_last_use(pruned, 0) > 1600000000 && dstore_pruned_bytes(pruned, 0) == 0);
    CHECK(dstore_pruned_freed(pruned) == -1 && !dstore_pruned_reached(pruned) && dstore_pruned_kept(pruned) > 0);
    CHECK(!dstore_pruned_name(pruned, told.rows, NULL));
    dstore_pruned_free(pruned);
    CHECK(dstore_policy_least_free_percent(policy, 101, NULL) == DSTORE_INVALID_ARGUMENT);
    CHECK(dstore_store_prune(store, policy, 0, NULL, NULL, NULL, &pruned, NULL) == DSTORE_INVALID_ARGUMENT);
    dstore_policy_free(policy);

    OK(dstore_store_unpin(store, "two", &changed, &error));
    CHECK(changed);
    OK(dstore_store_unpin_cache(store, "scratch", NULL, &error));
    dstore_went went;
    int64_t when;
    OK(dstore_store_went(store, "two", &went, &when, &error));
    CHECK(went == DSTORE_WENT_UNKNOWN && when == 0);
}

static void delete_all(const dstore_store *store)
{
    bool deleted;
    char *log;
    OK(dstore_store_log_file(store, "two", &log, &error));
    CHECK(access(log, F_OK) == 0);
    OK(dstore_store_delete(store, "two", &deleted, &error));
    CHECK(deleted && !present(store, "two") && access(log, F_OK) != 0);
    dstore_went went;
    int64_t when;
    OK(dstore_store_went(store, "two", &went, &when, &error));
    CHECK(went == DSTORE_WENT_DELETED && when > 1600000000);
    int64_t asked;
    OK(dstore_store_why_gone(store, "two", 0, NULL, &went, &asked, &error));
    CHECK(went == DSTORE_WENT_DELETED && asked == when);
    OK(dstore_store_why_gone(store, "three", 0, NULL, &went, NULL, &error));
    CHECK(went == DSTORE_WENT_UNKNOWN);
    dstore_string_free(log);
    OK(dstore_store_delete(store, "two", &deleted, &error));
    CHECK(!deleted);
    CHECK(present(store, "three"));

    dstore_results *results;
    OK(dstore_store_results(store, &results, &error));
    for (size_t i = 0; i < dstore_results_count(results); i++)
        OK(dstore_store_delete(store, dstore_results_id(results, i), NULL, &error));
    dstore_results_free(results);
    OK(dstore_store_results(store, &results, &error));
    CHECK(dstore_results_count(results) == 0);
    dstore_results_free(results);

    OK(dstore_store_delete_cache(store, "scratch", &deleted, &error));
    CHECK(deleted);
    OK(dstore_store_delete_cache(store, "scratch", &deleted, &error));
    CHECK(!deleted);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    base_tar = argv[2];

    CHECK(strcmp(dstore_version(), DSTORE_VERSION_STRING) == 0);
    CHECK(dstore_version_number() == DSTORE_VERSION_NUMBER);
    OK(dstore_log_collect(DSTORE_LOG_WARNING, &error));

    dstore_options *options = dstore_options_new();
    OK(dstore_options_name(options, "obuilder", &error));
    OK(dstore_options_strategy(options, DSTORE_STRATEGY_COPY, &error));
    OK(dstore_options_sync(options, true, &error));
    OK(dstore_options_direct(options, false, &error));
    OK(dstore_options_connect_timeout(options, 10000, &error));
    dstore_store *store;
    OK(dstore_store_open(argv[1], options, &store, &error));
    dstore_options_free(options);
    CHECK(strncmp(dstore_store_prefix(store), "obuilder-", 9) == 0);
    dstore_strategy strategy;
    char *reason;
    OK(dstore_store_strategy(store, &strategy, &reason, &error));
    CHECK(strategy == DSTORE_STRATEGY_COPY && strstr(reason, "option") && strstr(reason, "archive"));
    dstore_string_free(reason);
    CHECK(is_absolute(dstore_store_root(store)) && access(dstore_store_state_dir(store), W_OK) == 0);
    CHECK(access(dstore_store_empty_dir(store), F_OK) == 0);
    CHECK(strstr(dstore_store_engine(store), "://") && dstore_store_api_version(store)[0] == '1');

    import(store);
    build(store, "base", "one", 0, "");
    build(store, "one", "two", 1, "one\n");
    look_up(store);
    build_by_callback(store);
    read_along_while_another_builds(store);
    read_a_log_while_it_grows(store);
    cancel_a_step(store);
    surroundings(store);
    copy_files(store);
    list_and_count(store);
    is_healthy(store);
    stays_within_bounds(store);
    delete_all(store);

    uint64_t containers, images, volumes;
    OK(dstore_store_purge(store, &containers, &images, &volumes, &error));
    CHECK(containers == 0 && images == 0);
    OK(dstore_store_purge(store, NULL, NULL, NULL, &error));
    OK(dstore_store_close(store, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_close(store, &error));
    dstore_store_free(store);
    puts("ok");
    return 0;
}

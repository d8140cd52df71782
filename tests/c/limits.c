/* Every blocking call, with a timeout and with a cancel, on an engine that no longer responds; and every call on the same objects
 * that is documented not to block. The rows are generated from the header by tests/capi_c/limits.rs, so that new calls are
 * included automatically. */
#include "test.h"
#include <fcntl.h>

/* What the calls work with. Each row has its own, so that all of them can run concurrently. */
struct scene {
    const char *root, *tar;
    char id[32], file[512], spare[512], folder_name[512];
    dstore_options *options;
    dstore_image_config *config;
    dstore_command *command;
    dstore_store *store, *new_store;
    dstore_step *step, *new_step;
    dstore_lease *lease, *new_lease;
    dstore_results *results;
    dstore_caches *caches;
    dstore_health *health;
    dstore_remains *remains;
    dstore_usage *usage;
    dstore_pins *pins;
    dstore_policy *policy;
    dstore_host_files *files;
    dstore_host_folder *folder;
    dstore_pruned *pruned;
    dstore_went went;
    char *string;
    dstore_outcome outcome;
    dstore_strategy strategy;
    dstore_released released;
    bool flag;
    uint64_t number;
    int64_t code;
    double part;
};

static int32_t output(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)user_data, (void)channel, (void)bytes, (void)length;
    return 0;
}

static int32_t followed(void *user_data, uint32_t attempt, const char *bytes, size_t length)
{
    (void)user_data, (void)attempt, (void)bytes, (void)length;
    return 0;
}

static int32_t progress(void *user_data, const char *status, const char *item, uint64_t current, uint64_t total)
{
    (void)user_data, (void)status, (void)item, (void)current, (void)total;
    return 0;
}

/* A tar that ends at once. */
static int32_t give(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    size_t *given = user_data;
    *length = *given < 1024 ? 512 : 0;
    CHECK(capacity >= 512);
    memset(buffer, 0, *length);
    *given += *length;
    return 0;
}

static int32_t take(void *user_data, const char *bytes, size_t length)
{
    (void)user_data, (void)bytes, (void)length;
    return 0;
}

static int32_t work(void *user_data, dstore_step *step)
{
    (void)user_data, (void)step;
    return 0;
}

static int32_t row(void *user_data, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use,
                   int32_t fate, const char *why)
{
    (void)user_data, (void)item, (void)name, (void)length, (void)bytes, (void)last_use, (void)fate, (void)why;
    return 0;
}

/* What a row has prepared before the engine stops responding. */
enum needs { NOTHING, STEP, RUN_STEP, BARE_STEP, LEASE, GIVEN_UP, HERE, SPARE };

struct row {
    const char *name;
    enum needs needs;
    /* Makes the call; without limits if it accepts none. */
    dstore_status (*call)(struct scene *scene, uint64_t timeout_ms, const dstore_cancel *cancel, dstore_error **error);
    bool blocks;
};

/* ROWS */

enum { COUNT = sizeof rows / sizeof *rows };

/* A long wait for an engine that responds; and the time that may pass between a timeout or a cancel and the end of a call. */
enum { TIMEOUT_MS = 300, PROMISED_MS = 2000, AT_ONCE_MS = 1000 };

static const char *root, *tar, *address;
static dstore_cancel *cancel;
static bool by_switch;

/* Counts the threads that are ready; opens when all are. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ready, wrong;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false};

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* When the cancel was triggered. */
static double told_ms;

static void prepare(struct scene *scene, int n)
{
    const struct row *row = &rows[n];
    dstore_step *step;
    scene->root = root, scene->tar = tar;
    snprintf(scene->id, sizeof scene->id, "row-%d", n);
    snprintf(scene->file, sizeof scene->file, "%s/row-%d.tar", root, n);
    snprintf(scene->spare, sizeof scene->spare, "%s/spare", root);
    snprintf(scene->folder_name, sizeof scene->folder_name, "%s/row-%d", root, n);
    scene->config = dstore_image_config_new();
    scene->options = dstore_options_new();
    OK(dstore_options_engine(scene->options, address, &error));
    OK(dstore_store_open(root, scene->options, &scene->store, &error));
    scene->command = sh("true");
    scene->policy = dstore_policy_new();
    OK(dstore_host_files_new(scene->tar, &scene->files, &error));
    OK(dstore_host_folder_new(scene->folder_name, &scene->folder, &error));
    switch (row->needs) {
    case NOTHING:
    case HERE:
        break;
    case STEP:
        scene->step = begin(scene->store, "base", scene->id);
        break;
    case RUN_STEP:
        scene->step = begin(scene->store, "base", scene->id);
        run(scene->step, "echo made >/made");
        break;
    case BARE_STEP:
        OK(dstore_store_begin(scene->store, NULL, scene->id, 0, NULL, &scene->step, &error));
        CHECK(scene->step);
        break;
    case LEASE: {
        char id[64];
        snprintf(id, sizeof id, "%s-writes", scene->id);
        OK(dstore_store_cache(scene->store, id, 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &scene->lease, &error));
        step = begin(scene->store, "base", id);
        dstore_command *command = sh("echo written >/c/f");
        OK(dstore_command_lease(command, scene->lease, "/c", &error));
        OK(dstore_step_run(step, command, NULL, NULL, NULL, &error));
        OK(dstore_step_abort(step, &error));
        dstore_command_free(command);
        dstore_step_free(step);
        break;
    }
    case SPARE:
        /* A root that is not open. */
        OK(dstore_store_open(scene->spare, scene->options, &scene->new_store, &error));
        OK(dstore_store_close(scene->new_store, &error));
        dstore_store_free(scene->new_store);
        scene->new_store = NULL;
        break;
    case GIVEN_UP:
        /* When the engine no longer responds. */
        OK(dstore_store_cache(scene->store, scene->id, 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &scene->new_lease, &error));
        break;
    }
}

static void judge_row(const struct row *row, double began, double ended, dstore_status got, const dstore_error *error)
{
    double told = !row->blocks ? began : by_switch ? told_ms : began + TIMEOUT_MS;
    double late = told > 0 ? ended - told : began - ended;
    bool is_here = !row->blocks || row->needs == HERE;
    dstore_status wanted = is_here ? DSTORE_OK : by_switch ? DSTORE_CANCELLED : DSTORE_TIMED_OUT;
    const char *message = dstore_error_message(error);
    printf("%s: %s after %.0f ms\n", row->name, dstore_status_name(got), late);
    if (got != wanted || late > (row->blocks ? PROMISED_MS : AT_ONCE_MS)) {
        fprintf(stderr, "%s (%s): wanted %s, got %s after %.0f ms: %s\n", row->name, by_switch ? "cancelled" : "timed out",
                dstore_status_name(wanted), dstore_status_name(got), late, message ? message : "");
        pthread_mutex_lock(&gate.lock);
        gate.wrong++;
        pthread_mutex_unlock(&gate.lock);
    }
}

static void *play(void *argument)
{
    int n = *(int *)argument;
    struct scene scene = {0};
    prepare(&scene, n);
    pthread_mutex_lock(&gate.lock);
    gate.ready++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);

    double began = now_ms();
    dstore_lease_free(scene.new_lease);
    scene.new_lease = NULL;
    dstore_error *error = NULL;
    dstore_status got = rows[n].call(&scene, by_switch ? 0 : TIMEOUT_MS, by_switch ? cancel : NULL, &error);
    judge_row(&rows[n], began, now_ms(), got, error);
    dstore_error_free(error);

    /* None of these waits for the engine, either. */
    began = now_ms();
    dstore_lease_free(scene.lease);
    dstore_lease_free(scene.new_lease);
    dstore_step_free(scene.step);
    dstore_step_free(scene.new_step);
    dstore_store_free(scene.store);
    dstore_store_free(scene.new_store);
    CHECK(now_ms() - began < AT_ONCE_MS);
    dstore_results_free(scene.results);
    dstore_caches_free(scene.caches);
    dstore_health_free(scene.health);
    dstore_remains_free(scene.remains);
    dstore_image_config_free(scene.config);
    dstore_usage_free(scene.usage);
    dstore_pins_free(scene.pins);
    dstore_policy_free(scene.policy);
    dstore_host_files_free(scene.files);
    dstore_host_folder_free(scene.folder);
    dstore_pruned_free(scene.pruned);
    dstore_string_free(scene.string);
    dstore_command_free(scene.command);
    dstore_options_free(scene.options);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 6);
    root = argv[1], tar = argv[2], address = argv[3];
    by_switch = strcmp(argv[5], "switch") == 0;
    cancel = dstore_cancel_new();
    dstore_store *store;
    dstore_options *options = dstore_options_new();
    OK(dstore_options_engine(options, address, &error));
    OK(dstore_store_open(root, options, &store, &error));
    import_base(store, tar);
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    dstore_options_free(options);

    pthread_t threads[COUNT];
    char known[512];
    int numbers[COUNT];
    for (int n = 0; n < COUNT; n++) {
        numbers[n] = n;
        CHECK(pthread_create(&threads[n], NULL, play, &numbers[n]) == 0);
    }
    pthread_mutex_lock(&gate.lock);
    while (gate.ready < COUNT)
        pthread_cond_wait(&gate.changed, &gate.lock);
    /* Forget what caches can do on this engine: the first call that needs to know must then query the engine. */
    snprintf(known, sizeof known, "%s/.store/probed", root);
    CHECK(unlink(known) == 0);
    /* With this file, nothing gets through to the engine any more. */
    int stop = open(argv[4], O_WRONLY | O_CREAT, 0600);
    CHECK(stop >= 0);
    close(stop);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    pause_ms(TIMEOUT_MS);
    told_ms = now_ms();
    if (by_switch)
        dstore_cancel_trigger(cancel);
    for (int n = 0; n < COUNT; n++)
        CHECK(pthread_join(threads[n], NULL) == 0);
    CHECK(gate.wrong == 0);
    dstore_cancel_free(cancel);
    puts("ok");
    return 0;
}

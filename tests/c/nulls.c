/* NULL in every argument position of every function. The calls are generated from the header by tests/capi_c.rs, so that new
 * functions are included automatically. */
#include "test.h"

/* A call with one NULL says so, and names it. */
#define NAMES(name, call)                                                                        \
    do {                                                                                         \
        dstore_error *error = NULL;                                                              \
        CHECK(call == DSTORE_INVALID_ARGUMENT);                                                  \
        CHECK(strstr(dstore_error_message(error), "the argument " name " is NULL"));             \
        dstore_error_free(error);                                                                \
    } while (0)

static int32_t output(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)user_data, (void)channel, (void)bytes, (void)length;
    return 1;
}

static int32_t followed(void *user_data, uint32_t attempt, const char *bytes, size_t length)
{
    (void)user_data, (void)attempt, (void)bytes, (void)length;
    return 1;
}

static int32_t progress(void *user_data, const char *status, const char *item, uint64_t current, uint64_t total)
{
    (void)user_data, (void)status, (void)item, (void)current, (void)total;
    return 1;
}

static int32_t give(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    (void)user_data, (void)buffer, (void)capacity, (void)length;
    return 1;
}

static int32_t take(void *user_data, const char *bytes, size_t length)
{
    (void)user_data, (void)bytes, (void)length;
    return 1;
}

static int32_t work(void *user_data, dstore_step *step)
{
    (void)user_data, (void)step;
    return 1;
}

static int32_t line(void *user_data, int32_t level, const char *text, size_t length)
{
    (void)user_data, (void)level, (void)text, (void)length;
    return 1;
}

static int32_t row(void *user_data, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use,
                   int32_t fate, const char *why)
{
    (void)user_data, (void)item, (void)name, (void)length, (void)bytes, (void)last_use, (void)fate, (void)why;
    return 1;
}

static void calls(const dstore_store *store, dstore_step *step, dstore_lease *lease, dstore_results *results,
                  dstore_caches *caches, dstore_health *health, dstore_remains *remains, dstore_usage *usage, dstore_pins *pins,
                  dstore_pruned *pruned)
{
    dstore_options *options = dstore_options_new();
    dstore_cancel *cancel = dstore_cancel_new();
    dstore_command *command = sh("true");
    dstore_image_config *config = dstore_image_config_new();
    dstore_host_files *files = NULL, *new_files = NULL;
    dstore_host_folder *folder = NULL, *new_folder = NULL;
    const char *words[] = {"true"};
    dstore_error *error = NULL, *some_error = NULL;
    OK(dstore_host_files_new("/etc/passwd", &files, &error));
    OK(dstore_host_folder_new("/nowhere/at/all", &folder, &error));
    dstore_store *new_store = NULL;
    dstore_step *new_step = NULL;
    dstore_command *new_command = NULL;
    dstore_lease *new_lease = NULL;
    dstore_results *new_results = NULL;
    dstore_caches *new_caches = NULL;
    dstore_health *new_health = NULL;
    dstore_remains *new_remains = NULL;
    dstore_usage *new_usage = NULL;
    dstore_pins *new_pins = NULL;
    dstore_pruned *new_pruned = NULL;
    dstore_policy *policy = dstore_policy_new();
    dstore_went went = DSTORE_WENT_UNKNOWN;
    dstore_outcome outcome = DSTORE_HIT;
    dstore_strategy strategy = DSTORE_STRATEGY_AUTOMATIC;
    dstore_released released = DSTORE_RELEASE_LOST;
    char *string = NULL;
    bool flag = false;
    uint64_t number = 0;
    int64_t code = 0;
    size_t length = 0;
    double part = 0;
    CHECK(dstore_log_collect(99, &some_error) == DSTORE_INVALID_ARGUMENT && some_error);

    /* CALLS */

    /* Not all of these are needed by every version of the header. */
    (void)store, (void)step, (void)lease, (void)results, (void)caches, (void)health, (void)remains, (void)usage, (void)pins,
        (void)pruned, (void)went, (void)words, (void)outcome, (void)released, (void)strategy;
    (void)flag, (void)number, (void)code, (void)length, (void)part;
    (void)output, (void)progress, (void)give, (void)take, (void)work, (void)line, (void)row;
    CHECK(!new_store && !new_step && !new_command && !new_lease && !new_results && !new_caches && !new_health && !new_remains &&
          !new_usage && !new_pins && !new_pruned && !new_files && !new_folder && !string && !error);
    dstore_error_free(some_error);
    dstore_command_free(command);
    dstore_image_config_free(config);
    dstore_host_files_free(files);
    dstore_host_folder_free(folder);
    dstore_cancel_free(cancel);
    dstore_options_free(options);
    dstore_policy_free(policy);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    dstore_store *store;
    dstore_lease *lease;
    dstore_results *results;
    dstore_caches *caches;
    dstore_health *health;
    dstore_remains *remains;
    dstore_usage *usage;
    dstore_pins *pins;
    dstore_policy *policy = dstore_policy_new();
    dstore_pruned *pruned;
    OK(dstore_store_open(argv[1], NULL, &store, &error));
    import_base(store, argv[2]);
    OK(dstore_store_cache(store, "cache", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &lease, &error));
    OK(dstore_store_results(store, &results, &error));
    OK(dstore_store_caches(store, &caches, &error));
    OK(dstore_store_health(store, 0, NULL, &health, &error));
    OK(dstore_find_remains(NULL, "0", 0, NULL, &remains, &error));
    OK(dstore_store_pin(store, "base", 0, NULL, NULL, &error));
    OK(dstore_store_usage(store, 0, NULL, &usage, &error));
    OK(dstore_store_pins(store, &pins, &error));
    OK(dstore_store_prune(store, policy, 0, NULL, NULL, NULL, &pruned, &error));
    dstore_step *step = begin(store, "base", "step");

    calls(store, step, lease, results, caches, health, remains, usage, pins, pruned);

    /* None of that has changed existing objects. */
    run(step, "true");
    OK(dstore_step_commit(step, &error));
    OK(dstore_lease_release(lease, NULL, &error));
    OK(dstore_store_delete_cache(store, "cache", NULL, &error));
    dstore_step_free(step);
    dstore_lease_free(lease);
    dstore_results_free(results);
    dstore_caches_free(caches);
    dstore_health_free(health);
    dstore_remains_free(remains);
    dstore_usage_free(usage);
    dstore_pins_free(pins);
    dstore_policy_free(policy);
    dstore_pruned_free(pruned);
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    puts("ok");
    return 0;
}

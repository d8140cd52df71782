/* A build whose product is an image: configured, named, saved and loaded. At the end the root is destroyed, while its
 * handle still exists. */
#include "test.h"

static void publish(dstore_store *store, const char *root)
{
    char file[512], name[128];
    uint64_t bytes = 0;
    bool built = true;
    char *moved = NULL;
    const char *words[] = {"/bin/echo", "hello"};
    dstore_image_config *config = dstore_image_config_new();
    OK(dstore_image_config_entrypoint(config, words, 2, &error));
    OK(dstore_image_config_command(config, NULL, 0, &error));
    OK(dstore_image_config_env(config, "NAME", "value", &error));
    OK(dstore_image_config_env(config, "NONE", NULL, &error));
    OK(dstore_image_config_label(config, "org.example/x", "y", &error));
    OK(dstore_image_config_port(config, "80", true, &error));
    OK(dstore_image_config_volume(config, "/data", true, &error));
    OK(dstore_image_config_user(config, "0", &error));
    OK(dstore_image_config_directory(config, "/", &error));
    OK(dstore_image_config_stop_signal(config, "TERM", &error));
    dstore_step *step = begin(store, "base", "product");
    OK(dstore_step_configure(step, config, &error));
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);
    dstore_image_config_free(config);

    snprintf(name, sizeof name, "example.test/%s:1", dstore_store_prefix(store));
    snprintf(file, sizeof file, "%s/state/product.tar", root);
    CHECK(dstore_store_save_file(store, "product", 3, NULL, 0, NULL, file, &bytes, NULL) == DSTORE_INVALID_ARGUMENT);
    OK(dstore_store_save_file(store, "product", DSTORE_IMAGE_OCI, "example.test/app:1", 0, NULL, file, &bytes, &error));
    CHECK(bytes > 1024);
    OK(dstore_store_load_file(store, "loaded", file, NULL, NULL, 0, NULL, &built, &error));
    CHECK(built);
    OK(dstore_store_load_file(store, "loaded", file, NULL, NULL, 0, NULL, &built, &error));
    CHECK(!built);
    OK(dstore_store_tag(store, "loaded", name, 0, NULL, &moved, &error));
    dstore_string_free(moved);
    OK(dstore_store_tag(store, "base", name, 0, NULL, &moved, &error));
    CHECK(moved && moved[0]);
    dstore_string_free(moved);
}

static int32_t count(void *user_data, const char *bytes, size_t length)
{
    (void)bytes;
    *(uint64_t *)user_data += length;
    return 0;
}

/* What exists of the root, and the reported location of each object. */
static void give_up(const char *root, const char *prefix)
{
    dstore_remains *remains;
    char claim[128], identity[64] = "";
    snprintf(claim, sizeof claim, "%s-store", prefix);
    OK(dstore_destroy(root, NULL, true, false, 0, NULL, &remains, &error));
    CHECK(dstore_remains_count(remains) > 3);
    for (size_t n = 0; n < dstore_remains_count(remains); n++) {
        CHECK(!dstore_remains_removed(remains, n) && !dstore_remains_kept(remains, n));
        if (strcmp(dstore_remains_name(remains, n), claim) == 0) {
            CHECK(dstore_remains_kind(remains, n) == DSTORE_REMNANT_VOLUME && dstore_remains_engine(remains, n)[0]);
            snprintf(identity, sizeof identity, "%s", dstore_remains_identity(remains, n));
        }
    }
    CHECK(dstore_remains_kind(remains, 1000000) == 0 && !dstore_remains_name(remains, 1000000));
    dstore_remains_free(remains);
    OK(dstore_find_remains(NULL, identity, 0, NULL, &remains, &error));
    CHECK(dstore_remains_count(remains) > 0 && dstore_remains_root(remains, 0));
    dstore_remains_free(remains);
    CHECK(dstore_destroy_remains(NULL, identity, 0, NULL, &remains, NULL) == DSTORE_CONFLICT && !remains);

    OK(dstore_destroy(root, NULL, false, false, 0, NULL, &remains, &error));
    for (size_t n = 0; n < dstore_remains_count(remains); n++)
        CHECK(dstore_remains_removed(remains, n));
    dstore_remains_free(remains);
    CHECK(access(root, F_OK) != 0);
    OK(dstore_find_remains(NULL, identity, 0, NULL, &remains, &error));
    CHECK(dstore_remains_count(remains) == 0);
    dstore_remains_free(remains);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    dstore_store *store;
    dstore_remains *remains;
    uint64_t heard = 0, bytes = 0;
    OK(dstore_store_open(argv[1], NULL, &store, &error));
    import_base(store, argv[2]);
    publish(store, argv[1]);
    OK(dstore_store_save(store, "product", DSTORE_IMAGE_DOCKER, NULL, 0, NULL, count, &heard, &bytes, &error));
    CHECK(heard == bytes && bytes > 1024);
    CHECK(dstore_destroy(argv[1], NULL, false, false, 0, NULL, &remains, NULL) == DSTORE_BUSY && !remains);
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s", dstore_store_prefix(store));
    OK(dstore_store_close(store, &error));
    give_up(argv[1], prefix);
    dstore_store_free(store);
    puts("ok");
    return 0;
}

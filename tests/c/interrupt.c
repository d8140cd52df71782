/* Ctrl-C as in docs/conventions.md: the recipe of that page replaces the comment below. */
#include "test.h"

#include <signal.h>

/* RECIPE */

static int32_t say_that_it_runs(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)user_data, (void)channel, (void)bytes, (void)length;
    puts("running");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    dstore_cancel *cancel = dstore_cancel_new();
    cancel_by_signals(cancel);

    dstore_store *store;
    OK(dstore_store_open(argv[1], NULL, &store, &error));
    import_base(store, argv[2]);
    dstore_step *step;
    OK(dstore_store_begin(store, "base", "long", 0, cancel, &step, &error));
    dstore_command *command = sh("echo; sleep 1000");
    EXPECT(DSTORE_CANCELLED, dstore_step_run(step, command, say_that_it_runs, NULL, NULL, &error));
    dstore_command_free(command);
    OK(dstore_step_abort(step, &error));
    dstore_step_free(step);
    CHECK(!present(store, "long"));
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    puts("ok");
    return 0;
}

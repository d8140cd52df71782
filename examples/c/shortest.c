/* Builds "hello" on top of "base", unless it already exists. Usage: shortest ROOT BASE.tar */
#include <docker_store.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call) do { dstore_error *error; if ((call) != DSTORE_OK) { \
        fprintf(stderr, "%s\n", dstore_error_message(error)); exit(1); } } while (0)

int main(int argc, char **argv)
{
    const char *words[] = {"sh", "-c", "echo hello >/hello"};
    dstore_store *store;
    dstore_step *step;
    dstore_command *command;
    TRY(dstore_store_open(argc > 1 ? argv[1] : "store", NULL, &store, &error));
    TRY(dstore_store_begin(store, NULL, "base", 0, NULL, &step, &error));
    if (step) { /* otherwise it has already been built */
        TRY(dstore_step_import_file(step, argc > 2 ? argv[2] : "base.tar", NULL, NULL, &error));
        TRY(dstore_step_commit(step, &error));
    }
    dstore_step_free(step);
    TRY(dstore_store_begin(store, "base", "hello", 0, NULL, &step, &error));
    if (step) {
        TRY(dstore_command_new(words, 3, &command, &error));
        TRY(dstore_step_run(step, command, NULL, NULL, NULL, &error));
        TRY(dstore_step_commit(step, &error));
        dstore_command_free(command);
    }
    puts(step ? "built" : "was there");
    dstore_step_free(step);
    dstore_store_free(store);
    return 0;
}

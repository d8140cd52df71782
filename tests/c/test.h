/* What the C tests share. A check that fails says where and why, and ends the program. */
#ifndef TEST_H
#define TEST_H

#include <docker_store.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

/* A call whose last argument is &error, and which must succeed. */
#define OK(call) EXPECT(DSTORE_OK, call)

/* A call whose last argument is &error, and which must return `wanted`, with a message. */
#define EXPECT(wanted, call)                                                                     \
    do {                                                                                         \
        dstore_error *error = NULL;                                                              \
        dstore_status got = (call);                                                              \
        judge(__FILE__, __LINE__, #call, (wanted), got, error);                                  \
        dstore_error_free(error);                                                                \
    } while (0)

static inline void judge(const char *file, int line, const char *call, dstore_status wanted, dstore_status got,
                         const dstore_error *error)
{
    const char *message = dstore_error_message(error);
    if (got != wanted) {
        fprintf(stderr, "%s:%d: %s\n  wanted %s, got %s: %s\n", file, line, call, dstore_status_name(wanted),
                dstore_status_name(got), message ? message : "");
        exit(1);
    }
    if (dstore_error_status(error) != got || (got != DSTORE_OK && (!message || !*message))) {
        fprintf(stderr, "%s:%d: %s\n  the status is %s, and the error does not say so\n", file, line, call,
                dstore_status_name(got));
        exit(1);
    }
    if (message && (strchr(message, '\n') || strlen(message) > 600)) {
        fprintf(stderr, "%s:%d: %s\n  not one short line: %s\n", file, line, call, message);
        exit(1);
    }
}

static inline void pause_ms(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Whether a path is absolute: on Windows, it starts with a drive. */
static inline bool is_absolute(const char *path)
{
#ifdef _WIN32
    return strlen(path) > 2 && path[1] == ':' && path[2] == '\\';
#else
    return path[0] == '/';
#endif
}

/* Whether a file has `text` in it yet. */
static inline bool file_has(const char *path, const char *text)
{
    char buffer[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t length = fread(buffer, 1, sizeof buffer - 1, file);
    fclose(file);
    buffer[length] = '\0';
    return strstr(buffer, text) != NULL;
}

/* Waits until it has, for up to a minute. */
static inline void until_file_has(const char *path, const char *text)
{
    for (int tries = 0; !file_has(path, text); tries++) {
        CHECK(tries < 60 * 50);
        pause_ms(20);
    }
}

/* A shell command. */
static inline dstore_command *sh(const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script};
    dstore_command *command;
    OK(dstore_command_new(argv, 3, &command, &error));
    return command;
}

/* Begins a step, which must not be a hit. */
static inline dstore_step *begin(const dstore_store *store, const char *base, const char *id)
{
    dstore_step *step;
    OK(dstore_store_begin(store, base, id, 0, NULL, &step, &error));
    CHECK(step);
    CHECK(strcmp(dstore_step_id(step), id) == 0);
    return step;
}

/* Runs a shell command in a step. */
static inline void run(dstore_step *step, const char *script)
{
    dstore_command *command = sh(script);
    OK(dstore_step_run(step, command, NULL, NULL, NULL, &error));
    dstore_command_free(command);
}

static inline bool present(const dstore_store *store, const char *id)
{
    bool there;
    OK(dstore_store_result(store, id, &there, &error));
    return there;
}

/* Imports a base, if it does not exist. */
static inline void import_base(const dstore_store *store, const char *tar)
{
    dstore_step *step;
    OK(dstore_store_begin(store, NULL, "base", 0, NULL, &step, &error));
    if (step) {
        OK(dstore_step_import_file(step, tar, NULL, NULL, &error));
        OK(dstore_step_commit(step, &error));
        dstore_step_free(step);
    }
}

#endif

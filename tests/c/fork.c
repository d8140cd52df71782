/* A child that the host forks, as Python's multiprocessing does, does not affect its parent: its calls return DSTORE_CLOSED,
 * its frees do nothing, and its copies of locks block no other process. */
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static dstore_store *store;
static dstore_step *step;
static dstore_lease *lease;
static dstore_cancel *cancel;
static char *root;

/* Ends a child successfully, without exit handlers: its copies of the parent's memory are not leaks. */
static void pass(void)
{
    kill(getpid(), SIGKILL);
}

static void passed(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Runs `work` in a child, and waits for it to pass. */
static void in_child(void (*work)(void))
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        work();
        pass();
    }
    passed(child);
}

/* Every call and every free on the inherited objects. */
static void call_and_free(void)
{
    bool there;
    int64_t code;
    dstore_released released;
    dstore_step *other = NULL;
    dstore_lease *another = NULL;
    dstore_command *command = sh("echo child >/child");
    EXPECT(DSTORE_CLOSED, dstore_store_result(store, "one", &there, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_delete(store, "base", &there, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_begin(store, "base", "two", 0, NULL, &other, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_cache(store, "c", 0, 0, DSTORE_CACHE_PRIVATE, 0, NULL, &another, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_delete_cache(store, "c", &there, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_complete_deletes(store, 1000, NULL, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_run(step, command, NULL, NULL, &code, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_write_log(step, "child\n", 6, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_commit(step, &error));
    EXPECT(DSTORE_CLOSED, dstore_step_abort(step, &error));
    EXPECT(DSTORE_CLOSED, dstore_lease_release(lease, &released, &error));
    EXPECT(DSTORE_CLOSED, dstore_lease_discard(lease, &error));
    EXPECT(DSTORE_CLOSED, dstore_store_close(store, &error));
    dstore_command_free(command);
    dstore_lease_free(lease);
    dstore_step_free(step);
    dstore_store_free(store);
    dstore_cancel_trigger(cancel);
    dstore_cancel_free(cancel);
}

/* A child may have a store of its own. */
static void own_store(void)
{
    dstore_store *own;
    bool there;
    OK(dstore_store_open(root, NULL, &own, &error));
    OK(dstore_store_result(own, "base", &there, &error));
    CHECK(there);
    OK(dstore_store_close(own, &error));
    dstore_store_free(own);
}

/* Forks in the middle of a run, and continues in both. */
static int32_t fork_now(void *user_data, int32_t channel, const char *bytes, size_t length)
{
    (void)channel, (void)bytes, (void)length;
    pid_t *child = user_data;
    if (*child == -1) {
        fflush(NULL);
        *child = fork();
        CHECK(*child >= 0);
        if (*child == 0)
            alarm(60);
    }
    return 0;
}

/* Children that sleep with copies of what the parent had when they were forked. */
static pid_t sleeper(void)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    return child;
}

/* At the same time, a thread forks over and over: for every lock, some child is forked while it is held. */
static volatile bool forking = true;
static pid_t sleepers[100];
static int count;

static void *fork_often(void *nothing)
{
    (void)nothing;
    while (forking && count < 100) {
        sleepers[count++] = sleeper();
        pause_ms(7);
    }
    return NULL;
}

static dstore_lease *leased(void)
{
    dstore_lease *one;
    OK(dstore_store_cache(store, "c", 0, 0, DSTORE_CACHE_PRIVATE, 20000, NULL, &one, &error));
    return one;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    root = argv[1];
    OK(dstore_store_open(root, NULL, &store, &error));
    import_base(store, argv[2]);
    cancel = dstore_cancel_new();
    step = begin(store, "base", "one");
    lease = leased();
    run(step, "echo parent >/parent");
    in_child(call_and_free);
    in_child(own_store);

    /* The parent was not affected. */
    pid_t child = -1;
    int64_t code;
    dstore_command *command = sh("echo before; sleep 1; echo after; echo x >/cache/x; echo more >>/parent");
    OK(dstore_command_lease(command, lease, "/cache", &error));
    dstore_status status;
    dstore_error *failure = NULL;
    pid_t self = getpid();
    status = dstore_step_run(step, command, fork_now, &child, &code, &failure);
    if (getpid() != self) {
        CHECK(status == DSTORE_CLOSED);
        pass();
    }
    CHECK(status == DSTORE_OK && code == 0 && child > 0);
    passed(child);
    dstore_command_free(command);
    OK(dstore_step_commit(step, &error));
    dstore_step_free(step);
    dstore_released released;
    OK(dstore_lease_release(lease, &released, &error));
    CHECK(released == DSTORE_RELEASE_WON);
    dstore_lease_free(lease);
    CHECK(present(store, "one"));

    /* Children that never call the library do not keep locks that their parent releases. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fork_often, NULL) == 0);
    for (int n = 0; n < 5; n++) {
        lease = leased();
        OK(dstore_lease_release(lease, &released, &error));
        dstore_lease_free(lease);
        step = begin(store, "base", "again");
        OK(dstore_step_abort(step, &error));
        dstore_step_free(step);
    }
    forking = false;
    CHECK(pthread_join(thread, NULL) == 0);
    OK(dstore_store_complete_deletes(store, 20000, NULL, &error));
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    dstore_cancel_free(cancel);
    /* The session has ended, too: the next open finds no other session. */
    OK(dstore_store_open(root, NULL, &store, &error));
    step = begin(store, "base", "again");
    OK(dstore_step_abort(step, &error));
    dstore_step_free(step);
    bool there;
    OK(dstore_store_delete_cache(store, "c", &there, &error));
    CHECK(there);
    OK(dstore_store_complete_deletes(store, 20000, NULL, &error));
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    for (int n = 0; n < count; n++) {
        kill(sleepers[n], SIGKILL);
        CHECK(waitpid(sleepers[n], NULL, 0) == sleepers[n]);
    }
    puts("ok");
    return 0;
}

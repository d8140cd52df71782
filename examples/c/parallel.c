/*
 * parallel.c - a small parallel builder. A job is a script that runs on top of another job's result. Independent jobs run
 * concurrently on a few threads and share a cache. Ctrl-C, or a job that fails, stops all of them. Results built before that
 * are kept and found by the next run.
 *
 * Compile: cc -pthread parallel.c $(pkg-config --cflags --libs docker_store) -o parallel
 * Usage:   parallel ROOT BASE.tar [THREADS [NAME BASE SCRIPT]...]
 *
 * BASE is the name of an earlier job, or "base": the files of BASE.tar. Without jobs, it builds the jobs below.
 * Exits with 0 if all jobs are built, 1 if one failed, 130 if it was stopped.
 */
#include <docker_store.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keeps in the cache what is slow to get. A file appears there atomically, because other jobs may look for it concurrently. */
#define FETCH "[ -e /cache/data ] || { echo fetching; sleep 1; t=$(mktemp -p /cache); echo data >$t; mv $t /cache/data; }; "

static const char *const builtin[] = {
    "tools",   "base",  FETCH "cp /cache/data /tools",
    "docs",    "base",  FETCH "cp /cache/data /docs; sleep 1",
    "left",    "tools", "for i in 1 2 3; do echo left $i; sleep 0.3; done; cp /tools /left",
    "right",   "tools", "for i in 1 2 3; do echo right $i; sleep 0.3; done; cp /tools /right",
    "program", "right", "cat /tools /right >/program",
};
enum { BUILTIN = sizeof builtin / sizeof *builtin, MOST_THREADS = 64 };

enum state { WAITING, RUNNING, BUILT, THERE, CANCELLED, FAILED, STATES };
static const char *const words[STATES] = {"", "", "built", "was there", "cancelled", "failed"};

struct job {
    const char *name, *script;
    const struct job *base; /* NULL: this job is the base of all others, and imports the tar */
    char *id;
    enum state state;
};

struct builder {
    dstore_store *store;
    dstore_cancel *cancel; /* shared: what stops one job stops every job */
    const char *tar;
    struct job *jobs;
    int count;
    sigset_t signals;
    pthread_mutex_t lock; /* for the states of the jobs, and for standard output */
    pthread_cond_t changed;
};

/* ---------------------------------------------------------------- jobs */

/* Derives the id from everything that goes into a job: if a script changes, that job and all jobs on top of it are new. */
static dstore_status make_ids(struct builder *builder, dstore_error **error)
{
    for (int i = 0; i < builder->count; i++) {
        struct job *job = &builder->jobs[i];
        const char *parts[] = {job->base ? job->base->id : "", job->base ? job->script : ""};
        dstore_status status = dstore_id(job->name, parts, NULL, 2, &job->id, error);
        if (status != DSTORE_OK)
            return status;
    }
    return DSTORE_OK;
}

static void free_jobs(struct builder *builder)
{
    for (int i = 0; builder->jobs && i < builder->count; i++)
        dstore_string_free(builder->jobs[i].id);
    free(builder->jobs);
}

/* Three texts define a job. A base comes before the jobs that are built on it, so there are no cycles. */
static bool read_jobs(struct builder *builder, const char *const *texts, int length)
{
    struct job *jobs = builder->jobs = calloc((size_t)length / 3 + 1, sizeof *jobs);
    if (!jobs)
        return false;
    jobs[0] = (struct job){.name = "base"};
    for (builder->count = 1; builder->count <= length / 3; builder->count++, texts += 3) {
        struct job *job = &jobs[builder->count];
        job->name = texts[0];
        job->script = texts[2];
        for (int i = 0; i < builder->count; i++)
            if (strcmp(jobs[i].name, texts[1]) == 0)
                job->base = &jobs[i];
        if (!job->base) {
            fprintf(stderr, "%s: no earlier job is named %s\n", texts[0], texts[1]);
            return false;
        }
    }
    return true;
}

/* Prints how a job ended; the first job that fails stops the others. Frees the error. */
static void settle(struct builder *builder, struct job *job, enum state state, dstore_error *error)
{
    job->state = state;
    printf("%-9s  %s", words[state], job->id);
    if (state == FAILED) {
        char *log = NULL;
        dstore_cancel_trigger(builder->cancel);
        printf(": %s", dstore_error_message(error));
        if (job->script && dstore_store_log_file(builder->store, job->id, &log, NULL) == DSTORE_OK)
            printf(" %s", log);
        dstore_string_free(log);
    }
    printf("\n");
    fflush(stdout);
    dstore_error_free(error);
}

/* ---------------------------------------------------------------- building */

static dstore_status run(struct builder *builder, struct job *job, dstore_step *step, dstore_lease **lease,
                         dstore_error **error)
{
    const char *argv[] = {"/bin/sh", "-e", "-c", job->script};
    dstore_command *command;
    /* Concurrent jobs share one lease, so that a job finds what another one has just put there. */
    dstore_status status = dstore_store_cache(builder->store, "data", 0, 0, DSTORE_CACHE_SHARED, 0, builder->cancel, lease,
                                              error);
    if (status == DSTORE_OK)
        status = dstore_command_new(argv, 4, &command, error);
    if (status == DSTORE_OK) {
        dstore_command_lease(command, *lease, "/cache", NULL); /* the run reports an error */
        status = dstore_step_run(step, command, NULL, NULL, NULL, error);
        dstore_command_free(command);
    }
    return status;
}

/* Builds one job, unless its result exists. Waits if another process is building it. */
static enum state build(struct builder *builder, struct job *job, dstore_error **error)
{
    dstore_step *step;
    dstore_lease *lease = NULL;
    const char *base = job->base ? job->base->id : NULL;
    dstore_status status = dstore_store_begin(builder->store, base, job->id, 0, builder->cancel, &step, error);
    if (status == DSTORE_OK && !step)
        return THERE;
    if (status == DSTORE_OK)
        status = base ? run(builder, job, step, &lease, error) : dstore_step_import_file(step, builder->tar, NULL, NULL, error);
    if (status == DSTORE_OK)
        status = dstore_step_commit(step, error);
    if (status == DSTORE_OK && lease)
        dstore_lease_release(lease, NULL, NULL); /* if the release fails, the cache is unchanged */
    dstore_step_free(step); /* an uncommitted step is aborted, and an unreleased lease is discarded */
    dstore_lease_free(lease);
    return status == DSTORE_OK ? BUILT : status == DSTORE_CANCELLED ? CANCELLED : FAILED;
}

/* Returns the next job to build, after waiting for its base if necessary, or NULL if none is left. The lock is held. */
static struct job *next(struct builder *builder)
{
    for (;; pthread_cond_wait(&builder->changed, &builder->lock)) {
        bool all = true;
        for (int i = 0; i < builder->count && !dstore_cancel_is_triggered(builder->cancel); i++) {
            struct job *job = &builder->jobs[i];
            if (job->state != WAITING)
                continue;
            all = false;
            if (!job->base || job->base->state == BUILT || job->base->state == THERE) {
                job->state = RUNNING;
                return job;
            }
        }
        if (all)
            return NULL;
    }
}

static void *work(void *user_data)
{
    struct builder *builder = user_data;
    pthread_mutex_lock(&builder->lock);
    for (struct job *job; (job = next(builder));) {
        dstore_error *error;
        pthread_mutex_unlock(&builder->lock);
        enum state state = build(builder, job, &error);
        pthread_mutex_lock(&builder->lock);
        settle(builder, job, state, error);
        pthread_cond_broadcast(&builder->changed);
    }
    pthread_mutex_unlock(&builder->lock);
    return NULL;
}

/* Receives the signals of the process. A thread may make any call, unlike a handler. SIGUSR1 ends this thread. */
static void *watch(void *user_data)
{
    struct builder *builder = user_data;
    int signal;
    while (sigwait(&builder->signals, &signal) == 0 && signal != SIGUSR1) {
        if (dstore_cancel_is_triggered(builder->cancel))
            _exit(130); /* a second signal; the next open of the store removes what is left */
        dstore_cancel_trigger(builder->cancel);
    }
    return NULL;
}

/* Builds all jobs on several threads, including this one. Returns the exit status. */
static int build_all(struct builder *builder, int threads)
{
    pthread_t others[MOST_THREADS];
    int begun = 0, counts[STATES] = {0};
    while (begun < threads - 1 && pthread_create(&others[begun], NULL, work, builder) == 0)
        begun++;
    work(builder);
    while (begun > 0)
        pthread_join(others[--begun], NULL);
    for (int i = 0; i < builder->count; i++) {
        if (builder->jobs[i].state == WAITING)
            settle(builder, &builder->jobs[i], CANCELLED, NULL);
        counts[builder->jobs[i].state]++;
    }
    printf("%d jobs: %d built, %d there before, %d cancelled, %d failed\n", builder->count, counts[BUILT], counts[THERE],
           counts[CANCELLED], counts[FAILED]);
    return counts[FAILED] ? 1 : counts[CANCELLED] ? 130 : 0;
}

int main(int argc, char **argv)
{
    int threads = argc > 3 ? atoi(argv[3]) : 2, status = 1;
    if (argc < 3 || (argc > 3 && argc % 3 != 1) || threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "Usage: %s ROOT BASE.tar [THREADS [NAME BASE SCRIPT]...]\n", argv[0]);
        return 2;
    }
    struct builder builder = {.tar = argv[2], .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    bool given = argc > 4;
    if (!read_jobs(&builder, given ? (const char *const *)argv + 4 : builtin, given ? argc - 4 : BUILTIN)) {
        free_jobs(&builder);
        return 2;
    }
    /* Before starting any other thread: threads inherit the signal mask. */
    pthread_t watcher;
    sigemptyset(&builder.signals);
    sigaddset(&builder.signals, SIGINT);
    sigaddset(&builder.signals, SIGTERM);
    sigaddset(&builder.signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &builder.signals, NULL);
    builder.cancel = dstore_cancel_new();
    if (pthread_create(&watcher, NULL, watch, &builder) != 0)
        abort();

    dstore_error *error;
    if (make_ids(&builder, &error) == DSTORE_OK && dstore_store_open(argv[1], NULL, &builder.store, &error) == DSTORE_OK) {
        status = build_all(&builder, threads);
        dstore_store_close(builder.store, &error); /* waits until what was cancelled is removed */
    }
    if (error) {
        fprintf(stderr, "%s: %s\n", argv[1], dstore_error_message(error));
        dstore_error_free(error);
        status = 1;
    }
    dstore_store_free(builder.store);
    pthread_kill(watcher, SIGUSR1);
    pthread_join(watcher, NULL);
    dstore_cancel_free(builder.cancel);
    free_jobs(&builder);
    return status;
}

/* An engine that goes away while it is written to is an error, and not the end of the process: a C program has the default
 * disposition of SIGPIPE, which kills. The engine here is a thread that answers the requests of an open, and hangs up in the
 * middle of an upload. */
#define _GNU_SOURCE /* strcasestr */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char socket_path[80];
static int uploads, gone;
static pthread_t conversations[1000];
static size_t conversation_count; /* the serving thread's, and main's once that has ended */

static void say(int connection, const char *text)
{
    send(connection, text, strlen(text), MSG_NOSIGNAL);
}

static void answer(int connection, const char *status, const char *body)
{
    char text[1000];
    snprintf(text, sizeof text,
             "HTTP/1.1 %s\r\nApi-Version: 1.41\r\nServer: Docker\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
    say(connection, text);
}

/* Reads one request, without its body. */
static bool request(int connection, char *text, size_t capacity)
{
    size_t length = 0;
    while (length + 1 < capacity && recv(connection, text + length, 1, 0) == 1) {
        text[++length] = '\0';
        if (length >= 4 && strcmp(text + length - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

/* Reads the body of a request that was read. */
static void body(int connection, const char *text, char *into, size_t capacity)
{
    const char *length = strcasestr(text, "content-length:");
    size_t left = length ? strtoul(length + strlen("content-length:"), NULL, 10) : 0, done = 0;
    while (done < left && done + 1 < capacity && recv(connection, into + done, 1, 0) == 1)
        done++;
    into[done] = '\0';
}

static void *converse(void *user_data)
{
    int connection = *(int *)user_data;
    free(user_data);
    char text[8000];
    while (request(connection, text, sizeof text) && !__atomic_load_n(&gone, __ATOMIC_SEQ_CST)) {
        if (strncmp(text, "HEAD ", 5) == 0)
            say(connection, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker\r\n\r\n");
        else if (strstr(text, "/_ping"))
            answer(connection, "200 OK", "OK");
        else if (strstr(text, "/images/create")) {
            __atomic_add_fetch(&uploads, 1, __ATOMIC_SEQ_CST);
            break; /* in the middle of what it was sent */
        } else if (strstr(text, "/volumes/create")) {
            char volume[400];
            body(connection, text, volume, sizeof volume);
            answer(connection, "200 OK", volume); /* what was asked for */
        } else if (strstr(text, "/info")) {
            answer(connection, "200 OK", "{\"ID\":\"fake\",\"DockerRootDir\":\"/fake\"}");
        } else if (strstr(text, "-empty/json")) {
            answer(connection, "200 OK", "{\"Id\":\"sha256:0\",\"Size\":0}");
        } else if (strstr(text, "/volumes?") || strstr(text, "/volumes "))
            answer(connection, "200 OK", "{\"Volumes\":[]}");
        else if (strstr(text, "/containers/json") || strstr(text, "/images/json"))
            answer(connection, "200 OK", "[]");
        else if (strstr(text, "/version"))
            answer(connection, "200 OK", "{\"Version\":\"20.10.0\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
        else
            answer(connection, "404 Not Found", "{\"message\":\"no such thing\"}");
    }
    close(connection);
    return NULL;
}

static void *serve(void *user_data)
{
    int listener = *(int *)user_data;
    for (;;) {
        int *connection = malloc(sizeof *connection);
        *connection = accept(listener, NULL, NULL);
        if (*connection < 0) {
            free(connection);
            return NULL;
        }
        CHECK(conversation_count < sizeof conversations / sizeof *conversations);
        CHECK(pthread_create(&conversations[conversation_count++], NULL, converse, connection) == 0);
    }
}

static int32_t endless(void *user_data, char *buffer, size_t capacity, size_t *length)
{
    (void)user_data;
    memset(buffer, 0, capacity);
    *length = capacity;
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(socket_path, sizeof socket_path, "/tmp/docker-store-sigpipe-%ld.sock", (long)getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(socket_path);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 16) == 0);
    pthread_t server;
    CHECK(pthread_create(&server, NULL, serve, &listener) == 0);

    char engine[100];
    snprintf(engine, sizeof engine, "unix://%s", socket_path);
    dstore_options *options = dstore_options_new();
    OK(dstore_options_engine(options, engine, &error));
    dstore_store *store;
    OK(dstore_store_open(argv[1], options, &store, &error));
    dstore_options_free(options);

    for (int i = 0; i < 20; i++) {
        dstore_step *step = begin(store, NULL, "upload");
        dstore_error *error;
        dstore_status status = dstore_step_import(step, endless, NULL, NULL, NULL, &error);
        CHECK(status == DSTORE_UNREACHABLE || status == DSTORE_CUT_SHORT || status == DSTORE_ENGINE);
        CHECK(*dstore_error_message(error));
        dstore_error_free(error);
        OK(dstore_step_abort(step, &error));
        dstore_step_free(step);
    }
    CHECK(__atomic_load_n(&uploads, __ATOMIC_SEQ_CST) >= 20);

    /* It disappears permanently. */
    __atomic_store_n(&gone, 1, __ATOMIC_SEQ_CST);
    unlink(socket_path);
    shutdown(listener, SHUT_RDWR);
    close(listener);
    CHECK(pthread_join(server, NULL) == 0);
    dstore_step *step;
    EXPECT(DSTORE_UNREACHABLE, dstore_store_begin(store, NULL, "other", 5000, NULL, &step, &error));
    OK(dstore_store_close(store, &error));
    dstore_store_free(store);
    for (size_t i = 0; i < conversation_count; i++)
        CHECK(pthread_join(conversations[i], NULL) == 0);

    struct sigaction action;
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    puts("ok");
    return 0;
}

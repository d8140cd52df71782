/* A named pipe like Docker's, in front of an engine that listens on a port: for Wine, where no engine has one.
 *
 * The pipe carries messages, and an empty one is the end of the data in its direction. Any number of clients
 * may connect; each gets two threads.
 *
 * Usage: bridge PIPE PORT
 */
#include <winsock2.h>
#include <windows.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 65536 };

struct connection {
    HANDLE pipe;
    SOCKET engine;
    LONG users;
};

static void fail(const char *doing)
{
    fprintf(stderr, "bridge: %s: error %lu\n", doing, GetLastError());
    exit(1);
}

static HANDLE event(void)
{
    HANDLE made = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!made)
        fail("making an event");
    return made;
}

/* Waits for the transfer on the pipe: returns how many bytes were transferred, or -1. */
static int end(HANDLE pipe, BOOL begun, OVERLAPPED *transfer)
{
    DWORD moved = 0;
    if (!begun && GetLastError() != ERROR_IO_PENDING && GetLastError() != ERROR_MORE_DATA)
        return -1;
    if (!GetOverlappedResult(pipe, transfer, &moved, TRUE) && GetLastError() != ERROR_MORE_DATA)
        return -1;
    return (int)moved;
}

static void leave(struct connection *connection)
{
    if (InterlockedDecrement(&connection->users) == 0) {
        closesocket(connection->engine);
        CloseHandle(connection->pipe);
        free(connection);
    }
}

static DWORD WINAPI to_engine(void *argument)
{
    struct connection *connection = argument;
    OVERLAPPED transfer = {.hEvent = event()};
    char *bytes = malloc(PIECE);
    for (;;) {
        int n = end(connection->pipe, ReadFile(connection->pipe, bytes, PIECE, NULL, &transfer), &transfer);
        if (n <= 0)
            break;
        int sent = 0;
        while (sent < n) {
            int m = send(connection->engine, bytes + sent, n - sent, 0);
            if (m <= 0)
                break;
            sent += m;
        }
        if (sent < n)
            break;
    }
    shutdown(connection->engine, SD_SEND);
    free(bytes);
    CloseHandle(transfer.hEvent);
    leave(connection);
    return 0;
}

static DWORD WINAPI from_engine(void *argument)
{
    struct connection *connection = argument;
    OVERLAPPED transfer = {.hEvent = event()};
    char *bytes = malloc(PIECE);
    for (;;) {
        int n = recv(connection->engine, bytes, PIECE, 0);
        if (n < 0)
            n = 0;
        int m = end(connection->pipe, WriteFile(connection->pipe, bytes, (DWORD)n, NULL, &transfer), &transfer);
        if (m < n) {
            /* The client has gone: tell the engine. */
            shutdown(connection->engine, SD_BOTH);
            break;
        }
        if (n == 0)
            break;
    }
    free(bytes);
    CloseHandle(transfer.hEvent);
    leave(connection);
    return 0;
}

static SOCKET engine(int port)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((u_short)port)};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET made = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (made == INVALID_SOCKET || connect(made, (struct sockaddr *)&there, sizeof there) != 0)
        fail("connecting to the engine");
    BOOL at_once = TRUE;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, (char *)&at_once, sizeof at_once);
    return made;
}

int main(int argc, char **argv)
{
    WSADATA data;
    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    for (bool first = true;; first = false) {
        OVERLAPPED transfer = {.hEvent = event()};
        HANDLE pipe = CreateNamedPipeA(argv[1], PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_MESSAGE | PIPE_READMODE_BYTE,
                                       PIPE_UNLIMITED_INSTANCES, PIECE, PIECE, 0, NULL);
        if (pipe == INVALID_HANDLE_VALUE)
            fail("making the pipe");
        if (first) {
            puts("ready");
            fflush(stdout);
        }
        BOOL begun = ConnectNamedPipe(pipe, &transfer);
        bool is_there = !begun && GetLastError() == ERROR_PIPE_CONNECTED;
        if (!is_there && end(pipe, begun, &transfer) < 0)
            fail("waiting for a client");
        CloseHandle(transfer.hEvent);
        struct connection *connection = malloc(sizeof *connection);
        *connection = (struct connection){pipe, engine(atoi(argv[2])), 2};
        HANDLE one = CreateThread(NULL, 0, to_engine, connection, 0, NULL);
        HANDLE other = CreateThread(NULL, 0, from_engine, connection, 0, NULL);
        if (!one || !other)
            fail("starting a thread");
        CloseHandle(one);
        CloseHandle(other);
    }
}

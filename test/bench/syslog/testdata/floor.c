// The least that a receiver can do: take datagrams with recvmmsg, put a newline after each, and write them to a file. One thread and one
// socket for each reader, all at one port.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 512, SIZE = 2048 };

static int port, out;

static void *reader(void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, buffer = 64 << 20;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		perror("bind");
		exit(1);
	}
	char *data = malloc(BATCH * SIZE), *lines = malloc(BATCH * (SIZE + 1));
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	memset(messages, 0, sizeof messages);
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){data + i * SIZE, SIZE};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0) {
			struct pollfd p = {fd, POLLIN, 0};
			poll(&p, 1, -1);
			continue;
		}
		char *end = lines;
		for (int i = 0; i < n; i++) {
			memcpy(end, parts[i].iov_base, messages[i].msg_len);
			end += messages[i].msg_len;
			*end++ = '\n';
		}
		if (write(out, lines, end - lines) != end - lines)
			perror("write");
	}
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	port = atoi(argv[1]);
	out = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0600);
	pthread_t thread;
	for (int i = atoi(argv[2]); i > 0; i--)
		pthread_create(&thread, NULL, reader, NULL);
	pause();
}

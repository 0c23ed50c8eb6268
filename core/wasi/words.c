/* SPDX-License-Identifier: MIT */
/* What people write to give a guest something: folders as "HOST[::GUEST][:ro|rw]", listening sockets as "HOST:PORT". In: a
 * text; out: what lun_wasi_options takes, or one sentence that says what is wrong with the text. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_CONNECTIONS 128

/* ---- folders ---- */
lun_status lun_wasi_dir_parse(char *text, lun_wasi_dir *out, lun_error *error) {
  *out = (lun_wasi_dir){ .host = NULL };
  lun_wasi_dir dir = { .host = text, .guest = text };
  char *guest = strstr(text, "::"), *last = guest ? guest + 2 : text, *mode = strrchr(last, ':');
  if (mode) {
    dir.read_only = strcmp(mode, ":ro") == 0;
    if (!dir.read_only && strcmp(mode, ":rw") != 0)
      return lun_error_set(error, LUN_USAGE, "folder \"%s\": behind the colon stands ro or rw, not \"%s\"", text, mode + 1);
  }
  size_t size = mode ? (size_t)(mode - last) : strlen(last);
  if (size == 0 || guest == text || memchr(last, ':', size))
    return lun_error_set(error, LUN_USAGE, "folder \"%s\": it looks like this: HOST[::GUEST][:ro|rw]", text);
  last[size] = 0;
  if (guest) {
    *guest = 0;
    dir.guest = last;
  }
  *out = dir;
  return LUN_OK;
}

/* ---- listening sockets ---- */
typedef struct Address {
  char host[256]; /* empty: all interfaces */
  char port[8];
} Address;

static bool address_split(const char *text, Address *out) {
  const char *colon = strrchr(text, ':');
  if (!colon) return false;
  const char *host = text, *end = colon, *digits = colon + 1;
  if (*host == '[') {
    host++;
    end--;
    if (end < host || *end != ']' || end == host) return false;
  } else if (memchr(host, ':', (size_t)(end - host))) {
    return false; /* an IPv6 address without brackets: which colon is the port's? */
  }
  size_t host_size = (size_t)(end - host), port_size = strlen(digits);
  if (host_size >= sizeof out->host || port_size == 0 || port_size > 5 || strspn(digits, "0123456789") != port_size)
    return false;
  memcpy(out->host, host, host_size);
  out->host[host_size] = 0;
  memcpy(out->port, digits, port_size + 1);
  unsigned port = 0;
  for (const char *at = digits; *at; at++) port = port * 10 + (unsigned)(*at - '0');
  return port <= UINT16_MAX;
}

static int listen_at(const struct addrinfo *info) {
  int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1, no = 0;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (info->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, WAITING_CONNECTIONS) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

/* The first address of the name that works; for all interfaces IPv6 first, which takes IPv4 along. */
static int listen_at_any(const struct addrinfo *list, bool prefer_6) {
  int fd = -1, why = EADDRNOTAVAIL;
  for (const struct addrinfo *info = list; info && fd < 0 && prefer_6; info = info->ai_next)
    if (info->ai_family == AF_INET6) fd = listen_at(info);
  for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
    fd = listen_at(info);
    why = errno;
  }
  if (fd < 0) errno = why;
  return fd;
}

lun_status lun_wasi_listen(const char *text, int *fd, lun_error *error) {
  const struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
  struct addrinfo *list = NULL;
  Address address;
  *fd = -1;
  if (!address_split(text, &address))
    return lun_error_set(error, LUN_USAGE, "address \"%s\": it looks like this: HOST:PORT, [::1]:PORT or :PORT", text);
  int failure = getaddrinfo(address.host[0] ? address.host : NULL, address.port, &wanted, &list);
  if (failure == EAI_MEMORY) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  if (failure) return lun_error_set(error, LUN_NO_INPUT, "cannot listen on %s: %s", text, gai_strerror(failure));
  *fd = listen_at_any(list, !address.host[0]);
  freeaddrinfo(list);
  if (*fd < 0) return lun_error_set(error, LUN_NO_INPUT, "cannot listen on %s: %s", text, strerror(errno));
  return LUN_OK;
}

bool lun_wasi_address(int fd, char *text, size_t room) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char host[64], port[8];
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
      getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
    return false;
  return snprintf(text, room, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port) < (int)room;
}

/* SPDX-License-Identifier: MIT */
/* The guest's descriptors: a growing array by the guest's number, the lowest free one first, and what can be known of a
 * host descriptor before it is put there. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FREE_NUMBER ((Descriptor){ .host = -1 })

/* What can be asked of a file, a folder, a socket. */
#define RIGHTS_ANY (RIGHT_FD_FDSTAT_SET_FLAGS | RIGHT_FD_SYNC | RIGHT_FD_DATASYNC | RIGHT_FD_FILESTAT_GET | \
                    RIGHT_FD_FILESTAT_SET_TIMES | RIGHT_POLL_FD_READWRITE)
#define RIGHTS_FILE (RIGHTS_ANY | RIGHT_FD_READ | RIGHT_FD_SEEK | RIGHT_FD_TELL | RIGHT_FD_WRITE | RIGHT_FD_ADVISE | \
                     RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE)
#define RIGHTS_STREAM (RIGHTS_ANY | RIGHT_FD_READ | RIGHT_FD_WRITE)
#define RIGHTS_SOCKET (RIGHTS_STREAM | RIGHT_SOCK_SHUTDOWN | RIGHT_SOCK_ACCEPT)
#define RIGHTS_FOLDER (RIGHTS_ANY | RIGHT_PATH_CREATE_DIRECTORY | RIGHT_PATH_CREATE_FILE | RIGHT_PATH_LINK_SOURCE | \
                       RIGHT_PATH_LINK_TARGET | RIGHT_PATH_OPEN | RIGHT_FD_READDIR | RIGHT_PATH_READLINK | \
                       RIGHT_PATH_RENAME_SOURCE | RIGHT_PATH_RENAME_TARGET | RIGHT_PATH_FILESTAT_GET | \
                       RIGHT_PATH_FILESTAT_SET_SIZE | RIGHT_PATH_FILESTAT_SET_TIMES | RIGHT_PATH_SYMLINK | \
                       RIGHT_PATH_REMOVE_DIRECTORY | RIGHT_PATH_UNLINK_FILE)

Descriptor *table_at(const Table *table, uint32_t fd) {
  return fd < table->count && table->items[fd].host >= 0 ? &table->items[fd] : NULL;
}

/* Room for `count` numbers. */
static bool table_reserve(Table *table, uint32_t count) {
  if (count <= table->room) return true;
  uint32_t room = table->room ? table->room * 2 : 16;
  if (room < count) room = count;
  Descriptor *items = realloc(table->items, room * sizeof *items);
  if (!items) return false;
  table->items = items;
  table->room = room;
  return true;
}

bool table_put(Table *table, uint32_t fd, const Descriptor *descriptor) {
  if (fd >= table->count) {
    if (!table_reserve(table, fd + 1)) return false;
    while (table->count <= fd) table->items[table->count++] = FREE_NUMBER;
  }
  table->items[fd] = *descriptor;
  return true;
}

bool table_add(Table *table, const Descriptor *descriptor, uint32_t *fd) {
  uint32_t number = 0;
  while (table_at(table, number)) number++;
  *fd = number;
  return table_put(table, number, descriptor);
}

int table_close(Table *table, uint32_t fd) {
  Descriptor *descriptor = &table->items[fd];
  /* Linux has closed it even where close says EINTR. */
  int result = descriptor->stdio < 0 ? close(descriptor->host) : 0;
  free(descriptor->preopen);
  *descriptor = FREE_NUMBER;
  return result < 0 && errno == EINTR ? 0 : result;
}

void table_clear(Table *table) {
  for (uint32_t fd = 0; fd < table->count; fd++)
    if (table_at(table, fd)) table_close(table, fd);
  free(table->items);
  *table = (Table){ 0 };
}

Filetype filetype_of(const struct stat *status) {
  switch (status->st_mode & S_IFMT) {
  case S_IFBLK: return FILETYPE_BLOCK_DEVICE;
  case S_IFCHR: return FILETYPE_CHARACTER_DEVICE;
  case S_IFDIR: return FILETYPE_DIRECTORY;
  case S_IFREG: return FILETYPE_REGULAR_FILE;
  case S_IFLNK: return FILETYPE_SYMBOLIC_LINK;
  case S_IFSOCK: return FILETYPE_SOCKET_STREAM;
  default: return FILETYPE_UNKNOWN; /* there is none for pipes */
  }
}

static Filetype socket_type(int host) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(host, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM ? FILETYPE_SOCKET_DGRAM
                                                                                        : FILETYPE_SOCKET_STREAM;
}

bool descriptor_describe(Descriptor *descriptor, int host) {
  struct stat status;
  if (fstat(host, &status) < 0) return false;
  int mode = fcntl(host, F_GETFL);
  if (mode < 0) return false;
  descriptor->host = host;
  descriptor->type = filetype_of(&status);
  descriptor->seekable = S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || lseek(host, 0, SEEK_CUR) >= 0;
  descriptor->inheriting = 0;
  /* The memory devices (null, zero, random, …) never block. */
  bool is_memory = S_ISCHR(status.st_mode) && major(status.st_rdev) == 1;
  switch (descriptor->type) {
  case FILETYPE_DIRECTORY:
    descriptor->rights = RIGHTS_FOLDER;
    descriptor->inheriting = RIGHTS_OPENED;
    return true;
  case FILETYPE_REGULAR_FILE:
  case FILETYPE_BLOCK_DEVICE: descriptor->rights = RIGHTS_FILE; break;
  case FILETYPE_SOCKET_STREAM:
    descriptor->type = socket_type(host);
    descriptor->rights = RIGHTS_SOCKET;
    descriptor->blocks = true;
    break;
  default:
    /* A character device without the rights to seek is what a guest takes for a terminal. */
    descriptor->rights = RIGHTS_STREAM;
    if (S_ISCHR(status.st_mode) && !isatty(host)) descriptor->rights |= RIGHT_FD_SEEK | RIGHT_FD_TELL;
    descriptor->blocks = !is_memory;
  }
  if ((mode & O_ACCMODE) == O_RDONLY) descriptor->rights &= ~(uint64_t)RIGHTS_TO_WRITE;
  if ((mode & O_ACCMODE) == O_WRONLY) descriptor->rights &= ~(uint64_t)RIGHT_FD_READ;
  return true;
}

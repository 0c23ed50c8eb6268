/* SPDX-License-Identifier: MIT */
/* Paths beneath a folder. Where the kernel has openat2 it resolves with RESOLVE_BENEATH, which holds against links and
 * renames that happen meanwhile. Elsewhere, and where it gives up because of such renames, a walk goes component by
 * component: each step opens one name with O_NOFOLLOW, ".." goes back to the folder that we came from (no ".." is ever
 * opened), links are read and their text is walked. So a path that leads out cannot be opened at any moment of a race.
 *
 * Functions that work on a name inside a folder (mkdir, unlink, rename, …) get the folder, opened beneath, and the last
 * component; the kernel never follows a last component there. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40        /* as the kernel's own */
#define BENEATH_TRIES 32    /* openat2 says EAGAIN when something was renamed while it stepped over ".." */

static int open_beneath(int dir, const char *path, int flags, mode_t mode) {
  struct open_how how = { .flags = (uint64_t)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
  if (flags & O_CREAT) how.mode = mode;
  return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

bool resolve_probe(int dir) {
  int fd = open_beneath(dir, ".", O_PATH | O_CLOEXEC, 0);
  if (fd < 0) return false;
  close(fd);
  return true;
}

/* ---- the walk ---- */
typedef struct Walk {
  int *folders;             /* opened by us, the innermost last; none: we are where we began */
  size_t depth, room;
  int start;
  unsigned links;
  char rest[PATH_ROOM];     /* what is still to be walked */
} Walk;

typedef struct Component {
  char name[PATH_ROOM];
  bool last;
  bool slash;               /* with a slash behind it: must be a folder */
} Component;

static int walk_here(const Walk *walk) { return walk->depth ? walk->folders[walk->depth - 1] : walk->start; }

static bool walk_push(Walk *walk, int fd) {
  if (walk->depth == walk->room) {
    size_t room = walk->room ? walk->room * 2 : 16;
    int *folders = realloc(walk->folders, room * sizeof *folders);
    if (!folders) {
      close(fd);
      errno = ENOMEM;
      return false;
    }
    walk->folders = folders;
    walk->room = room;
  }
  walk->folders[walk->depth++] = fd;
  return true;
}

static void walk_clear(Walk *walk) {
  int kept = errno;
  while (walk->depth) close(walk->folders[--walk->depth]);
  free(walk->folders);
  errno = kept;
}

/* Takes the first component off the rest, which is not empty. */
static void walk_next(Walk *walk, Component *out) {
  size_t length = strcspn(walk->rest, "/");
  size_t slashes = strspn(walk->rest + length, "/");
  memcpy(out->name, walk->rest, length);
  out->name[length] = 0;
  out->slash = slashes != 0;
  out->last = walk->rest[length + slashes] == 0;
  memmove(walk->rest, walk->rest + length + slashes, strlen(walk->rest + length + slashes) + 1);
}

/* Puts the link's text before the rest. 1: done, 0: it is no link, -1: failed. */
static int walk_link(Walk *walk, const Component *component) {
  char target[PATH_ROOM];
  ssize_t size = readlinkat(walk_here(walk), component->name, target, sizeof target);
  if (size < 0) return errno == EINVAL ? 0 : -1;
  errno = ELOOP;
  if (++walk->links > LINKS_MAX) return -1;
  errno = EXDEV;
  if (size == 0 || target[0] == '/') return -1;
  size_t rest = strlen(walk->rest), slash = component->slash;
  errno = ENAMETOOLONG;
  if ((size_t)size + slash + rest >= PATH_ROOM) return -1;
  memmove(walk->rest + (size_t)size + slash, walk->rest, rest + 1);
  memcpy(walk->rest, target, (size_t)size);
  if (slash) walk->rest[size] = '/';
  return 1;
}

static bool walk_back(Walk *walk) {
  if (walk->depth == 0) {
    errno = EXDEV;
    return false;
  }
  close(walk->folders[--walk->depth]);
  return true;
}

static bool walk_into(Walk *walk, const Component *component) {
  int linked = walk_link(walk, component);
  if (linked) return linked > 0;
  int fd = openat(walk_here(walk), component->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd >= 0 && walk_push(walk, fd);
}

/* The last one. -2: it was a link to be followed, go on. */
static int walk_open(Walk *walk, const Component *component, int flags, mode_t mode) {
  /* With O_CREAT and O_EXCL a link is something that is there already. */
  bool create_new = (flags & O_CREAT) && (flags & O_EXCL);
  if ((component->slash || !(flags & O_NOFOLLOW)) && !create_new) {
    int linked = walk_link(walk, component);
    if (linked < 0 && errno != ENOENT) return -1;
    if (linked > 0) return -2;
  }
  if (component->slash && (flags & O_CREAT)) {
    errno = EISDIR;
    return -1;
  }
  return openat(walk_here(walk), component->name, flags | O_NOFOLLOW | (component->slash ? O_DIRECTORY : 0), mode);
}

static int walk_to_end(Walk *walk, int flags, mode_t mode) {
  static const Component here = { .name = ".", .last = true };
  Component component;
  while (walk->rest[0]) {
    walk_next(walk, &component);
    bool is_up = strcmp(component.name, "..") == 0;
    if (is_up || strcmp(component.name, ".") == 0) {
      if (is_up && !walk_back(walk)) return -1;
      continue;
    }
    if (component.last) {
      int fd = walk_open(walk, &component, flags, mode);
      if (fd != -2) return fd;
    } else if (!walk_into(walk, &component)) {
      return -1;
    }
  }
  return walk_open(walk, &here, flags | O_NOFOLLOW, mode);
}

static int open_walking(int dir, const char *path, int flags, mode_t mode) {
  Walk walk = { .start = dir };
  size_t length = strlen(path);
  errno = length == 0 ? ENOENT : path[0] == '/' ? EXDEV : ENAMETOOLONG;
  if (length == 0 || path[0] == '/' || length >= PATH_ROOM) return -1;
  memcpy(walk.rest, path, length + 1);
  int fd = walk_to_end(&walk, flags, mode);
  walk_clear(&walk);
  return fd;
}

int resolve_open(const lun_wasi *wasi, int dir, const char *path, int flags, mode_t mode) {
  flags |= O_CLOEXEC;
  if (wasi->has_openat2) {
    for (int tries = 0; tries < BENEATH_TRIES; tries++) {
      int fd = open_beneath(dir, path, flags, mode);
      if (fd >= 0 || errno != EAGAIN) return fd;
    }
  }
  return open_walking(dir, path, flags, mode);
}

/* ---- parents ---- */
bool resolve_parent(const lun_wasi *wasi, int dir, char *path, Parent *out) {
  size_t end = strlen(path);
  while (end && path[end - 1] == '/') end--;
  size_t start = end;
  while (start && path[start - 1] != '/') start--;
  if (path[0] == '/') {
    errno = EXDEV;
    return false;
  }
  size_t length = end - start;
  bool dots = path[start] == '.' && (length == 1 || (length == 2 && path[start + 1] == '.'));
  *out = (Parent){ .fd = dir, .name = path + start, .plain = !dots && path[end] == 0 };
  if (dots) {
    /* The kernel refuses it whatever it is; but what lies outside must not even be asked about. */
    int fd = resolve_open(wasi, dir, path, O_PATH | O_DIRECTORY, 0);
    if (fd < 0) return false;
    close(fd);
  }
  if (start == 0) return true;
  path[start - 1] = 0;
  out->fd = resolve_open(wasi, dir, path, O_PATH | O_DIRECTORY, 0);
  out->owned = out->fd >= 0;
  return out->owned;
}

void parent_release(Parent *parent) {
  int kept = errno;
  if (parent->owned) close(parent->fd);
  errno = kept;
}

Errno resolve_errno(void) { return errno == EXDEV ? WASI_ENOTCAPABLE : errno_now(); }

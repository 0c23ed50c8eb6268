/* SPDX-License-Identifier: MIT */
/* WASI from inside. A guest's call enters at the gate (wasi.c), which hands a Call to the function of the table's row
 * (calls.def, call_NAME, one file per group). That reaches guest memory only through guest.c, descriptors only through
 * fdtable.c, paths only through resolve.c. It answers with an Errno; results are written when nothing can fail any more.
 *
 * Around every wait the guest may have been entered again (a script's timer): descriptors and guest addresses are looked up
 * anew after it. */
#ifndef LUN_WASI_INSIDE_H
#define LUN_WASI_INSIDE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH, accept4, preadv2, …; this header comes first */
#endif

#include <lunette/listener.h>
#include <lunette/wasi.h>

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define NS_PER_SECOND 1000000000u

/* ---- error numbers (errno.c) ---- */
typedef enum Errno {
#define ERRNO(name) WASI_##name,
#define OWN_ERRNO(name) WASI_##name,
#include "errno.def"
#undef ERRNO
#undef OWN_ERRNO
  ERRNO_COUNT
} Errno;

Errno errno_of_host(int number);
Errno errno_now(void);   /* of the host's errno */

/* ---- the specification's flags ---- */
enum { /* rights, in their order */
  RIGHT_FD_DATASYNC = 1 << 0, RIGHT_FD_READ = 1 << 1, RIGHT_FD_SEEK = 1 << 2, RIGHT_FD_FDSTAT_SET_FLAGS = 1 << 3,
  RIGHT_FD_SYNC = 1 << 4, RIGHT_FD_TELL = 1 << 5, RIGHT_FD_WRITE = 1 << 6, RIGHT_FD_ADVISE = 1 << 7,
  RIGHT_FD_ALLOCATE = 1 << 8, RIGHT_PATH_CREATE_DIRECTORY = 1 << 9, RIGHT_PATH_CREATE_FILE = 1 << 10,
  RIGHT_PATH_LINK_SOURCE = 1 << 11, RIGHT_PATH_LINK_TARGET = 1 << 12, RIGHT_PATH_OPEN = 1 << 13, RIGHT_FD_READDIR = 1 << 14,
  RIGHT_PATH_READLINK = 1 << 15, RIGHT_PATH_RENAME_SOURCE = 1 << 16, RIGHT_PATH_RENAME_TARGET = 1 << 17,
  RIGHT_PATH_FILESTAT_GET = 1 << 18, RIGHT_PATH_FILESTAT_SET_SIZE = 1 << 19, RIGHT_PATH_FILESTAT_SET_TIMES = 1 << 20,
  RIGHT_FD_FILESTAT_GET = 1 << 21, RIGHT_FD_FILESTAT_SET_SIZE = 1 << 22, RIGHT_FD_FILESTAT_SET_TIMES = 1 << 23,
  RIGHT_PATH_SYMLINK = 1 << 24, RIGHT_PATH_REMOVE_DIRECTORY = 1 << 25, RIGHT_PATH_UNLINK_FILE = 1 << 26,
  RIGHT_POLL_FD_READWRITE = 1 << 27, RIGHT_SOCK_SHUTDOWN = 1 << 28, RIGHT_SOCK_ACCEPT = 1 << 29,
  RIGHTS_OPENED = (1 << 28) - 1, /* what a folder hands on: what a path opens is never a socket */
  RIGHTS_TO_WRITE = RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE /* the file is opened for writing */
};
enum { FDFLAG_APPEND = 1, FDFLAG_DSYNC = 2, FDFLAG_NONBLOCK = 4, FDFLAG_RSYNC = 8, FDFLAG_SYNC = 16, FDFLAGS_ALL = 31 };
enum { OFLAG_CREAT = 1, OFLAG_DIRECTORY = 2, OFLAG_EXCL = 4, OFLAG_TRUNC = 8, OFLAGS_ALL = 15 };
enum { LOOKUP_SYMLINK_FOLLOW = 1 };
enum { FSTFLAG_ATIM = 1, FSTFLAG_ATIM_NOW = 2, FSTFLAG_MTIM = 4, FSTFLAG_MTIM_NOW = 8, FSTFLAGS_ALL = 15 };
typedef enum Filetype {
  FILETYPE_UNKNOWN, FILETYPE_BLOCK_DEVICE, FILETYPE_CHARACTER_DEVICE, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE,
  FILETYPE_SOCKET_DGRAM, FILETYPE_SOCKET_STREAM, FILETYPE_SYMBOLIC_LINK
} Filetype;

/* ---- the guest's descriptors (fdtable.c) ---- */
typedef struct Descriptor {
  int host;                 /* -1: this number is free */
  Filetype type;
  uint16_t flags;           /* fdflags, as the guest sees them */
  uint64_t rights, inheriting;
  char *preopen;            /* the folder's name for the guest, owned; NULL: not preopened */
  int8_t stdio;             /* 0, 1, 2: the caller's descriptor, neither closed nor changed; -1: ours */
  bool read_only;           /* in a read-only folder, or one */
  bool seekable;
  bool blocks;              /* reading or writing may take for ever. If ours, the host's O_NONBLOCK is set */
  bool no_nowait;           /* RWF_NOWAIT is known not to work */
} Descriptor;

typedef struct Table {
  Descriptor *items;
  uint32_t count;           /* numbers from here on are free */
  uint32_t room;
} Table;

/* The open descriptor of that number, or NULL. Valid until the next wait or table_add. */
Descriptor *table_at(const Table *table, uint32_t fd);
/* Puts it under the lowest free number; false: out of memory, nothing was taken. */
bool table_add(Table *table, const Descriptor *descriptor, uint32_t *fd);
/* Puts it under that number, which is free. */
bool table_put(Table *table, uint32_t fd, const Descriptor *descriptor);
/* Closes it and frees the number. Returns what close(2) said. */
int table_close(Table *table, uint32_t fd);
void table_clear(Table *table);

Filetype filetype_of(const struct stat *status);
/* Fills all but flags, preopen and read_only from what the host's descriptor is: type, the rights that suit it, whether it can
 * be sought or blocks. */
bool descriptor_describe(Descriptor *descriptor, int host);

/* ---- one call ---- */
typedef struct Strings {   /* arguments or variables, as the guest gets them */
  char *bytes;             /* each with its NUL, one behind the other */
  uint32_t size, count;
} Strings;

struct lun_wasi {
  Strings args, env;
  Table table;
  dev_t *root_devices;      /* of the preopened folders, in order; with root_inodes */
  ino_t *root_inodes;
  size_t root_count;
  void (*before_write)(void *self, int fd);
  void *self;
  bool has_openat2;
  bool deterministic;
  uint64_t ticks;           /* deterministic: nanoseconds since the beginning */
  uint64_t random_state;
  struct Binding *bindings; /* what the host functions get as `self` */
};

typedef struct Call {
  lun_wasi *wasi;
  lun_store *store;
  lun_memory *memory;       /* NULL: the guest has none */
  lun_error *error;
  lun_status ended;         /* other than LUN_OK: the run ends with this kind, and the Errno does not count */
  bool unstable;            /* called as wasi_unstable, which differs in three layouts and in whence */
} Call;

typedef Errno (*CallFunction)(Call *call, const uint64_t *params);
#define CALL(name, group, signature, param_names, kinds) Errno call_##name(Call *call, const uint64_t *params);
#include "calls.def"
#undef CALL

/* The descriptor with these rights: EBADF, ENOTCAPABLE. */
Errno call_descriptor(Call *call, uint64_t fd, uint64_t rights, Descriptor **out);
/* Waits until the host's descriptor is ready for `events` (poll.h). Other than ESUCCESS: the run ends. */
Errno call_wait(Call *call, int host, short events);
/* Has the run been interrupted? Other than ESUCCESS: it ends. Called where much is done at a stretch. */
Errno call_check(Call *call);

/* ---- guest memory (guest.c) ----
 * Addresses are slots of i32 params: 32 bits count. Sums are made in 64 bits. */
bool guest_holds(const Call *call, uint64_t address, uint64_t size);
/* NULL: outside. Valid until the next wait. */
const uint8_t *guest_read(const Call *call, uint64_t address, uint64_t size);
uint8_t *guest_write(const Call *call, uint64_t address, uint64_t size);
/* ESUCCESS or EFAULT. */
Errno guest_put_u32(const Call *call, uint64_t address, uint32_t value);
Errno guest_put_u64(const Call *call, uint64_t address, uint64_t value);
Errno guest_put_bytes(const Call *call, uint64_t address, const void *bytes, size_t size);

/* A path: EFAULT, ENOENT when empty, EINVAL with a NUL in it, ENAMETOOLONG. */
#define PATH_ROOM 4096
Errno guest_path(const Call *call, uint64_t address, uint64_t size, char path[PATH_ROOM]);

#define VECTORS_MAX 1024u
typedef struct Vectors {
  struct iovec items[VECTORS_MAX];
  int count;
  uint64_t total;           /* bytes, with the skipped ones */
} Vectors;
/* The array of buffers at `address`, less the first `skip` bytes: to be filled by the host, or to be read. EINVAL with more
 * than VECTORS_MAX or 4 GiB, EFAULT with anything outside. */
Errno guest_vectors(const Call *call, uint64_t address, uint64_t count, bool to_fill, uint64_t skip, Vectors *out);

/* Little-endian fields of structures. */
uint16_t load_u16(const uint8_t *at);
uint32_t load_u32(const uint8_t *at);
uint64_t load_u64(const uint8_t *at);
void store_u16(uint8_t *at, uint16_t value);
void store_u32(uint8_t *at, uint32_t value);
void store_u64(uint8_t *at, uint64_t value);

/* The guest's structure of a file's status. */
Errno guest_put_filestat(const Call *call, uint64_t address, const struct stat *status, Filetype type);
bool guest_holds_filestat(const Call *call, uint64_t address);
/* From params of …_set_times: EINVAL. */
Errno times_of(uint64_t atim, uint64_t mtim, uint64_t flags, struct timespec times[2]);

/* ---- paths (resolve.c) ---- all answer as open(2) does; a path that leads out fails with EXDEV */
/* Is there an openat2 that works? */
bool resolve_probe(int dir);
/* Opens what is at `path` beneath the folder `dir`. O_CLOEXEC is added. */
int resolve_open(const lun_wasi *wasi, int dir, const char *path, int flags, mode_t mode);
/* The folder that holds the path's last component. */
typedef struct Parent {
  int fd;
  const char *name;         /* the last component, with the slashes behind it; points into the path */
  bool plain;               /* the name is a name: neither "." nor "..", and no slash behind it */
  bool owned;
} Parent;
/* Cuts `path`. Release it only if it succeeded. */
bool resolve_parent(const lun_wasi *wasi, int dir, char *path, Parent *out);
void parent_release(Parent *parent);
/* ENOTCAPABLE for EXDEV, else as errno_now. */
Errno resolve_errno(void);

/* ---- reading and writing that never blocks (io.c) ---- */
/* As readv and writev; -1 with EAGAIN where it would block. */
ssize_t descriptor_read(Descriptor *descriptor, const Vectors *vectors);
ssize_t descriptor_write(Descriptor *descriptor, const Vectors *vectors);
/* After a failure: ESUCCESS: try again (it has waited if it had to), else what to answer. */
Errno call_again(Call *call, const Descriptor *descriptor, short events);

/* ---- clocks (clock.c) ---- */
/* EINVAL: there is no such clock. */
Errno clock_now(lun_wasi *wasi, uint32_t id, uint64_t *ns);

#endif

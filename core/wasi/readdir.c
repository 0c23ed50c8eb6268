/* SPDX-License-Identifier: MIT */
/* fd_readdir. A cookie is what the kernel calls the offset of the next entry: file systems keep it right while the folder
 * changes, so nothing is remembered here between calls. The last entry may be cut off by the buffer's end; the guest then asks
 * again from the cookie of the last whole one. A buffer that is not full says that there is no more. */
#include "wasi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEADER 24           /* dirent: next cookie, inode, length of the name, type; the name follows */
#define LISTING 32768

/* What getdents64 fills in. */
typedef struct HostEntry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
  char name[];
} HostEntry;

static Filetype entry_type(int folder, const HostEntry *entry) {
  struct stat status;
  switch (entry->type) {
  case DT_BLK: return FILETYPE_BLOCK_DEVICE;
  case DT_CHR: return FILETYPE_CHARACTER_DEVICE;
  case DT_DIR: return FILETYPE_DIRECTORY;
  case DT_REG: return FILETYPE_REGULAR_FILE;
  case DT_LNK: return FILETYPE_SYMBOLIC_LINK;
  case DT_SOCK: return FILETYPE_SOCKET_STREAM;
  case DT_FIFO: return FILETYPE_UNKNOWN;
  default: /* some file systems do not say */
    return fstatat(folder, entry->name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? FILETYPE_UNKNOWN : filetype_of(&status);
  }
}

/* ".." of a preopened folder lies outside: it shows the folder itself, as a root does. */
static uint64_t entry_inode(const lun_wasi *wasi, int folder, const HostEntry *entry) {
  struct stat status;
  if (strcmp(entry->name, "..") != 0 || fstat(folder, &status) < 0) return entry->inode;
  for (size_t i = 0; i < wasi->root_count; i++)
    if (wasi->root_devices[i] == status.st_dev && wasi->root_inodes[i] == status.st_ino) return status.st_ino;
  return entry->inode;
}

typedef struct Listing {
  uint8_t *at;              /* in guest memory */
  size_t used, size;
} Listing;

static void listing_add(Listing *listing, const void *bytes, size_t size) {
  size_t room = listing->size - listing->used;
  if (size > room) size = room;
  memcpy(listing->at + listing->used, bytes, size);
  listing->used += size;
}

static void listing_add_entry(Listing *listing, const lun_wasi *wasi, int folder, const HostEntry *entry) {
  uint8_t header[HEADER] = { 0 };
  size_t length = strlen(entry->name);
  store_u64(header, (uint64_t)entry->next);
  store_u64(header + 8, entry_inode(wasi, folder, entry));
  store_u32(header + 16, (uint32_t)length);
  header[20] = (uint8_t)entry_type(folder, entry);
  listing_add(listing, header, HEADER);
  listing_add(listing, entry->name, length);
}

Errno call_fd_readdir(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (failure) return failure;
  if (descriptor->type != FILETYPE_DIRECTORY) return WASI_ENOTDIR;
  if (!(descriptor->rights & RIGHT_FD_READDIR)) return WASI_ENOTCAPABLE;
  Listing listing = { .at = guest_write(call, params[1], (uint32_t)params[2]), .size = (uint32_t)params[2] };
  if (!listing.at || !guest_holds(call, params[4], 4)) return WASI_EFAULT;
  int folder = descriptor->host;
  if (lseek(folder, (off_t)params[3], SEEK_SET) < 0) return errno_now();
  _Alignas(HostEntry) char entries[LISTING];
  /* Not much more than fits: what is read in vain is read again. */
  size_t wanted = listing.size < sizeof entries - 512 ? listing.size + 512 : sizeof entries;
  while (listing.used < listing.size) {
    long size = syscall(SYS_getdents64, folder, entries, wanted);
    if (size < 0) return errno == ENOENT ? guest_put_u32(call, params[4], 0) : errno_now();
    if (size == 0) break;
    for (long at = 0; at < size && listing.used < listing.size;) {
      const HostEntry *entry = (const HostEntry *)(const void *)(entries + at);
      listing_add_entry(&listing, call->wasi, folder, entry);
      at += entry->size;
    }
  }
  return guest_put_u32(call, params[4], (uint32_t)listing.used);
}

/* SPDX-License-Identifier: MIT */
/* Fuzz target: a guest calls WASI functions with whatever arguments the input gives, on a folder made for it. Nothing
 * outside that folder may change.
 *
 * The input: a byte of flags; then calls, each the function's number and its arguments (a byte that says what kind, and
 * the value); from the first byte 0xff on, the contents of the guest's memory at DATA. */
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_MS = 20, CALLS_MAX = 12, PARAMS_MAX = 9, DATA = 1024, FILE_MAX = 1 << 20 };

/* ---- the guest: imports each function and exports it again, beside a memory of two pages ---- */
typedef struct Bytes {
  uint8_t bytes[16384];
  size_t size;
} Bytes;

static void put(Bytes *b, uint8_t byte) {
  CHECK(b->size < sizeof b->bytes);
  b->bytes[b->size++] = byte;
}

static void put_number(Bytes *b, size_t number) {
  for (; number >= 0x80; number >>= 7) put(b, (uint8_t)(number | 0x80));
  put(b, (uint8_t)number);
}

static void put_text(Bytes *b, const char *text) {
  put_number(b, strlen(text));
  while (*text) put(b, (uint8_t)*text++);
}

static void put_section(Bytes *b, uint8_t id, const Bytes *contents) {
  put(b, id);
  put_number(b, contents->size);
  for (size_t i = 0; i < contents->size; i++) put(b, contents->bytes[i]);
}

/* Function k of the table: type k, import k, function count + k (which hands its params on), export k. */
static void guest_build(Bytes *out) {
  size_t count = lun_wasi_function_count();
  Bytes types = { .size = 0 }, imports = types, functions = types, exports = types, code = types, memory = types;
  put_number(&types, count), put_number(&imports, count), put_number(&functions, count), put_number(&code, count);
  put_number(&exports, count + 1);
  for (size_t k = 0; k < count; k++) {
    const lun_wasi_function *function = lun_wasi_function_at(k);
    size_t params = strcspn(function->signature, ":"), results = strlen(function->signature) - params - 1;
    put(&types, 0x60), put_number(&types, params);
    for (size_t i = 0; i < params; i++) put(&types, function->signature[i] == 'I' ? LUN_I64 : LUN_I32);
    put_number(&types, results);
    if (results) put(&types, LUN_I32);
    put_text(&imports, "wasi_snapshot_preview1"), put_text(&imports, function->name), put(&imports, 0), put_number(&imports, k);
    put_number(&functions, k);
    put_text(&exports, function->name), put(&exports, 0), put_number(&exports, count + k);
    put_number(&code, 2 * params + (k < 128 ? 4 : 5)), put(&code, 0);
    for (size_t i = 0; i < params; i++) put(&code, 0x20), put_number(&code, i);
    put(&code, 0x10), put_number(&code, k), put(&code, 0x0b);
  }
  put_text(&exports, "memory"), put(&exports, 2), put(&exports, 0);
  put(&memory, 1), put(&memory, 0), put(&memory, 2);
  static const uint8_t header[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
  for (size_t i = 0; i < sizeof header; i++) put(out, header[i]);
  put_section(out, 1, &types), put_section(out, 2, &imports), put_section(out, 3, &functions), put_section(out, 5, &memory);
  put_section(out, 7, &exports), put_section(out, 10, &code);
}

/* ---- the folder: ROOT/box is the guest's, ROOT/beside must not change ---- */
static char root[64];
static struct stat beside;

static char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", root, name);
  return path;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where) {
  (void)facts, (void)kind, (void)where;
  return remove(path);
}

static void remove_tree(const char *path) {
  nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void remove_root(void) { remove_tree(root); }

static void root_make(void) {
  snprintf(root, sizeof root, "/tmp/fuzz_wasi_XXXXXX");
  CHECK(mkdtemp(root) && atexit(remove_root) == 0);
  int fd = open(path_of("beside"), O_CREAT | O_WRONLY, 0600);
  CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && fsync(fd) == 0 && close(fd) == 0 && stat(path_of("beside"), &beside) == 0);
  /* No file becomes large, however it is asked for. */
  struct rlimit limit = { FILE_MAX, FILE_MAX };
  CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void box_make(void) {
  CHECK(mkdir(path_of("box"), 0700) == 0 && mkdir(path_of("box/d"), 0700) == 0);
  int fd = open(path_of("box/f"), O_CREAT | O_WRONLY, 0600);
  CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10 && close(fd) == 0);
  CHECK(symlink("../beside", path_of("box/l")) == 0 && symlink("..", path_of("box/d/u")) == 0);
}

static void box_check(void) {
  struct stat now;
  CHECK(stat(path_of("beside"), &now) == 0 && now.st_size == beside.st_size && now.st_nlink == 1);
  CHECK(now.st_mode == beside.st_mode && now.st_mtim.tv_sec == beside.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == beside.st_mtim.tv_nsec);
  CHECK(stat(root, &now) == 0 && now.st_nlink == 3);
  remove_tree(path_of("box"));
}

/* ---- the calls ---- */
typedef struct Input {
  const uint8_t *at, *end;
} Input;

static uint8_t take(Input *in) { return in->at < in->end ? *in->at++ : 0; }

static uint64_t take_param(Input *in) {
  uint64_t value = 0;
  switch (take(in) % 7) {
    case 0: return take(in);
    case 1: return DATA + take(in);
    case 2: return take(in) % 8;
    case 3: return 2 * LUN_PAGE - take(in);
    case 4: return UINT64_MAX - take(in);
    case 5: return 1ull << take(in) % 64;
    default:
      for (int i = 0; i < 8; i++) value = value << 8 | take(in);
      return value;
  }
}

static void call_one(lun_store *store, lun_instance *instance, const lun_wasi_function *function, Input *in) {
  uint64_t params[PARAMS_MAX] = { 0 }, result = 0;
  size_t count = strcspn(function->signature, ":");
  for (size_t i = 0; i < count; i++) params[i] = function->signature[i] == 'I' ? take_param(in) : (uint32_t)take_param(in);
  lun_error error = LUN_ERROR_INIT;
  fuzz_watch(store, RUN_MS);
  lun_status status = lun_function_invoke(lun_instance_function(instance, function->name), params, &result, &error);
  fuzz_unwatch(store);
  CHECK(status == LUN_OK || status == LUN_EXIT || status == LUN_TIMEOUT || status == LUN_TRAP);
  if (status != LUN_OK) fuzz_check_error(&error, status);
  else CHECK(function->signature[count + 1] == 0 || lun_wasi_errno_name((uint32_t)result));
}

static void guest_run(lun_store *store, lun_instance *instance, Input in) {
  const uint8_t *calls_end = in.at;
  while (calls_end < in.end && *calls_end != 0xff) calls_end++;
  size_t size = (size_t)(in.end - calls_end);
  if (size > LUN_PAGE) size = LUN_PAGE;
  uint8_t *data = lun_memory_write(lun_instance_memory(instance, 0), DATA, size);
  CHECK(data);
  if (size) memcpy(data, calls_end, size);
  in.end = calls_end;
  for (int calls = 0; in.at < in.end && calls < CALLS_MAX; calls++)
    call_one(store, instance, lun_wasi_function_at(take(&in) % lun_wasi_function_count()), &in);
}

static lun_wasi *wasi_make(uint8_t flags, const int sockets[2], int null) {
  static const char *const args[] = { "guest", "one" }, *const env[] = { "A=b" };
  lun_wasi_dir dir = { .host = path_of("box"), .guest = "/box", .read_only = flags & 4 };
  lun_wasi_options options = {
    .args = args, .arg_count = 2, .env = env, .env_count = 1, .dirs = &dir, .dir_count = 1, .sockets = sockets,
    .socket_count = 1, .stdio = { null, null, null }, .deterministic = !(flags & 1), .force_fallback = flags & 2,
  };
  lun_wasi *wasi = NULL;
  CHECK(lun_wasi_create(&options, &wasi, NULL) == LUN_OK);
  return wasi;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static Bytes guest;
  if (!guest.size) guest_build(&guest), root_make();
  Input in = { bytes, bytes + size };
  uint8_t flags = take(&in);
  int sockets[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
  CHECK(null >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
  box_make();
  lun_store *store = fuzz_store();
  lun_wasi *wasi = wasi_make(flags, sockets, null);
  lun_imports *imports = NULL;
  lun_module *module = NULL;
  lun_instance *instance = NULL;
  CHECK(lun_imports_create(store, &imports, NULL) == LUN_OK && lun_wasi_import(wasi, imports, NULL) == LUN_OK);
  CHECK(lun_module_create(store, guest.bytes, guest.size, NULL, &module, NULL) == LUN_OK);
  CHECK(lun_instance_create(store, module, imports, NULL, &instance, NULL) == LUN_OK);
  guest_run(store, instance, in);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  lun_wasi_destroy(wasi);
  close(sockets[1]);
  close(null);
  box_check();
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* The door of this layer: making and destroying a lun_wasi, adding its functions to a list of imports, the table of functions
 * for others, and the gate through which every call of the guest goes. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */
static const lun_wasi_function functions[] = {
#define CALL(name, group, signature, param_names, kinds) { #name, group, signature, param_names, kinds },
#include "calls.def"
#undef CALL
};
static const CallFunction call_functions[] = {
#define CALL(name, group, signature, param_names, kinds) call_##name,
#include "calls.def"
#undef CALL
};
#define FUNCTION_COUNT (sizeof functions / sizeof *functions)
#define PARAMS_MAX 9

size_t lun_wasi_function_count(void) { return FUNCTION_COUNT; }

const lun_wasi_function *lun_wasi_function_at(size_t index) { return index < FUNCTION_COUNT ? &functions[index] : NULL; }

/* ---- the gate ---- */
typedef struct Binding {
  lun_wasi *wasi;
  CallFunction function;
  bool unstable;
} Binding;

static lun_status gate(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const Binding *binding = self;
  Call c = {
    .wasi = binding->wasi, .store = lun_call_store(call), .memory = lun_call_memory(call), .error = error,
    .unstable = binding->unstable
  };
  if (c.memory && lun_memory_is_64(c.memory) && binding->function != call_proc_exit) {
    return lun_error_set(error, LUN_HOST, "WASI preview 1 has 32-bit addresses; the guest's memory has 64-bit ones");
  }
  Errno answer = binding->function(&c, params);
  if (c.ended != LUN_OK) return c.ended;
  results[0] = answer;
  return LUN_OK;
}

Errno call_descriptor(Call *call, uint64_t fd, uint64_t rights, Descriptor **out) {
  *out = table_at(&call->wasi->table, (uint32_t)fd);
  if (!*out) return WASI_EBADF;
  return rights & ~(*out)->rights ? WASI_ENOTCAPABLE : WASI_ESUCCESS;
}

Errno call_wait(Call *call, int host, short events) {
  struct pollfd waiting = { .fd = host, .events = events };
  call->ended = lun_store_wait(call->store, &waiting, 1, -1, call->error);
  return call->ended == LUN_OK ? WASI_ESUCCESS : WASI_EINTR;
}

Errno call_check(Call *call) {
  call->ended = lun_store_wait(call->store, NULL, 0, 0, call->error);
  return call->ended == LUN_OK ? WASI_ESUCCESS : WASI_EINTR;
}

/* ---- imports ---- */
static lun_type type_of(char letter) { return letter == 'I' ? LUN_I64 : LUN_I32; }

/* `names` is cut at its blanks. */
static lun_status import_one(Binding *binding, const lun_wasi_function *function, const char *module, lun_imports *imports,
                             lun_error *error) {
  lun_type params[PARAMS_MAX];
  const lun_type result = LUN_I32;
  const char *param_names[PARAMS_MAX], *letter = function->signature;
  char names[128];
  uint32_t count = 0;
  strncpy(names, function->params, sizeof names - 1);
  names[sizeof names - 1] = 0;
  char *rest = NULL, *name = strtok_r(names, " ", &rest);
  for (; *letter != ':'; letter++, name = strtok_r(NULL, " ", &rest)) {
    param_names[count] = name;
    params[count++] = type_of(*letter);
  }
  lun_host_function host = {
    .module = module, .name = function->name,
    .signature = { .param_count = count, .result_count = letter[1] ? 1 : 0, .params = params, .results = &result },
    .param_names = param_names, .callback = gate, .self = binding
  };
  return lun_imports_add_host(imports, &host, error);
}

lun_status lun_wasi_import(lun_wasi *wasi, lun_imports *imports, lun_error *error) {
  lun_status status = LUN_OK;
  for (size_t i = 0; i < FUNCTION_COUNT && status == LUN_OK; i++) {
    status = import_one(&wasi->bindings[i], &functions[i], "wasi_snapshot_preview1", imports, error);
    /* The forerunner had no sock_accept. */
    if (status == LUN_OK && call_functions[i] != call_sock_accept)
      status = import_one(&wasi->bindings[FUNCTION_COUNT + i], &functions[i], "wasi_unstable", imports, error);
  }
  return status;
}

/* ---- making ---- */
static bool strings_copy(Strings *out, const char *const *strings, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += strlen(strings[i]) + 1;
  if (size > UINT32_MAX || !(out->bytes = malloc(size + 1))) return false;
  char *at = out->bytes;
  for (size_t i = 0; i < count; i++) at = stpcpy(at, strings[i]) + 1;
  out->size = (uint32_t)size;
  out->count = (uint32_t)count;
  return true;
}

/* Is one of the variables of that name, which ends at "="? */
static bool env_names(const lun_wasi_options *options, const char *variable) {
  size_t size = strcspn(variable, "=") + 1;
  for (size_t i = 0; i < options->env_count; i++)
    if (strncmp(options->env[i], variable, size) == 0) return true;
  return false;
}

static bool env_copy(Strings *out, const lun_wasi_options *options) {
  size_t own = 0, count = options->env_count;
  while (options->inherit_env && environ && environ[own]) own++;
  const char **all = calloc(own + count + 1, sizeof *all);
  if (!all) return false;
  for (size_t i = 0; i < count; i++) all[i] = options->env[i];
  for (size_t i = 0; i < own; i++)
    if (!env_names(options, environ[i])) all[count++] = environ[i];
  bool copied = strings_copy(out, all, count);
  free(all);
  return copied;
}

static bool bindings_make(lun_wasi *wasi) {
  wasi->bindings = calloc(2 * FUNCTION_COUNT, sizeof *wasi->bindings);
  if (!wasi->bindings) return false;
  for (size_t i = 0; i < 2 * FUNCTION_COUNT; i++)
    wasi->bindings[i] = (Binding){ wasi, call_functions[i % FUNCTION_COUNT], i >= FUNCTION_COUNT };
  return true;
}

/* The guest's 0, 1, 2. What is closed at the host is closed for the guest. */
static bool stdio_add(lun_wasi *wasi, const int stdio[3]) {
  for (int8_t i = 0; i < 3; i++) {
    Descriptor descriptor = { .stdio = i };
    if (stdio[i] < 0 || !descriptor_describe(&descriptor, stdio[i])) continue;
    if (fcntl(stdio[i], F_GETFL) & O_APPEND) descriptor.flags = FDFLAG_APPEND;
    if (descriptor.type == FILETYPE_DIRECTORY) descriptor.rights = 0; /* no way into it */
    descriptor.rights &= ~(uint64_t)(RIGHT_SOCK_SHUTDOWN | RIGHT_SOCK_ACCEPT);
    if (!table_put(&wasi->table, (uint32_t)i, &descriptor)) return false;
  }
  return true;
}

static bool dir_add(lun_wasi *wasi, const lun_wasi_dir *dir, uint32_t fd, lun_error *error) {
  int host = open(dir->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  Descriptor descriptor = { .stdio = -1, .read_only = dir->read_only };
  if (host < 0 || fstat(host, &status) < 0 || !descriptor_describe(&descriptor, host)) {
    lun_error_set(error, LUN_NO_INPUT, "cannot open folder '%s': %s", dir->host, strerror(errno));
    if (host >= 0) close(host);
    return false;
  }
  descriptor.preopen = strdup(dir->guest);
  if (!descriptor.preopen || !table_put(&wasi->table, fd, &descriptor)) {
    free(descriptor.preopen);
    close(host);
    return false;
  }
  wasi->root_devices[wasi->root_count] = status.st_dev;
  wasi->root_inodes[wasi->root_count++] = status.st_ino;
  return true;
}

static bool dirs_add(lun_wasi *wasi, const lun_wasi_options *options, lun_error *error) {
  wasi->root_devices = calloc(options->dir_count + 1, sizeof *wasi->root_devices);
  wasi->root_inodes = calloc(options->dir_count + 1, sizeof *wasi->root_inodes);
  if (!wasi->root_devices || !wasi->root_inodes) return false;
  for (size_t i = 0; i < options->dir_count; i++)
    if (!dir_add(wasi, &options->dirs[i], (uint32_t)(3 + i), error)) return false;
  if (options->dir_count && !options->force_fallback) wasi->has_openat2 = resolve_probe(wasi->table.items[3].host);
  return true;
}

/* Last, since a failure would have to give them back. */
static bool sockets_add(lun_wasi *wasi, const lun_wasi_options *options, lun_error *error) {
  for (size_t i = 0; i < options->socket_count; i++) {
    int host = options->sockets[i];
    Descriptor descriptor = { .stdio = -1 };
    uint32_t fd = (uint32_t)(3 + options->dir_count + i);
    bool is_open = descriptor_describe(&descriptor, host);
    if (!is_open) lun_error_set(error, LUN_NO_INPUT, "descriptor %d for the guest: %s", host, strerror(errno));
    if (!is_open || !table_put(&wasi->table, fd, &descriptor)) {
      while (i-- > 0) wasi->table.items[3 + options->dir_count + i].host = -1;
      return false;
    }
    fcntl(host, F_SETFL, fcntl(host, F_GETFL) | O_NONBLOCK);
  }
  return true;
}

lun_status lun_wasi_create(const lun_wasi_options *options, lun_wasi **out, lun_error *error) {
  *out = NULL;
  lun_wasi *wasi = calloc(1, sizeof *wasi);
  if (!wasi) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  wasi->before_write = options->before_write;
  wasi->self = options->self;
  wasi->deterministic = options->deterministic;
  lun_error failure = LUN_ERROR_INIT;
  if (strings_copy(&wasi->args, options->args, options->arg_count) &&
      env_copy(&wasi->env, options) && bindings_make(wasi) && stdio_add(wasi, options->stdio) &&
      dirs_add(wasi, options, &failure) && sockets_add(wasi, options, &failure)) {
    *out = wasi;
    return LUN_OK;
  }
  lun_wasi_destroy(wasi);
  if (failure.kind == LUN_OK) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  return lun_error_set(error, failure.kind, "%s", failure.message);
}

void lun_wasi_destroy(lun_wasi *wasi) {
  if (!wasi) return;
  table_clear(&wasi->table);
  free(wasi->args.bytes);
  free(wasi->env.bytes);
  free(wasi->root_devices);
  free(wasi->root_inodes);
  free(wasi->bindings);
  free(wasi);
}

/* SPDX-License-Identifier: MIT */
/* Stacks: sequences of frames, top first. Borrowed from call:stack(), walked as far as asked and good inside the callback;
 * owned from call:snapshot() and err.stack, good until the session is closed. Printed, a stack is one line per frame, and above
 * it one for each function that was inlined there:
 *
 *     #0  wasi_snapshot_preview1.fd_read (host)
 *         refill (inlined) json.c:12:9
 *     #1  parse_value(at=70976, now depth=2) (json) 0x1f3 json.c:40:5
 *
 * Params are there where they are known: not in snapshots, other than an err's; "now" stands before one that the function may
 * have changed. An offset there is the module file's, as other tools count. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "objects.h"

typedef struct StackObject {
  Head head;
  Owned *owned;            /* the hold on the snapshot */
  lun_snapshot *snapshot;  /* owned stacks */
  CallBox *box;            /* borrowed ones: user value 2 */
  uint64_t serial;
  lun_stack cursor;        /* stands on frame number `at`; 0: before the first */
  lua_Integer at;
} StackObject;

static void drop_snapshot(void *held) {
  lun_snapshot_destroy(held);
}

/* Takes the hold over. Raises when memory fails. */
static void hold(lua_State *L, StackObject *object, lun_snapshot *snapshot) {
  object->owned = snapshot ? session_own(object->head.session, snapshot, drop_snapshot) : NULL;
  if (!object->owned) luaL_error(L, "not enough memory");
  object->snapshot = snapshot;
}

void stack_push_borrowed(lua_State *L, int index) {
  CallBox *box = object_to(L, index, &call_class);
  StackObject *object = object_new(L, &stack_class, box->head.session, sizeof *object);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 2);
  object->box = box;
  object->serial = box->serial;
  object->cursor = lun_call_stack(box->call);
}

void stack_push_snapshot(lua_State *L, int index) {
  CallBox *box = object_to(L, index, &call_class);
  StackObject *object = object_new(L, &stack_class, box->head.session, sizeof *object);
  hold(L, object, lun_call_snapshot(box->call));
}

void stack_push_owned(lua_State *L, Session *session, lun_snapshot *snapshot) {
  StackObject *object;
  if (!snapshot) {
    lua_pushnil(L);
    return;
  }
  object = object_new(L, &stack_class, session, sizeof *object);
  hold(L, object, lun_snapshot_retain(snapshot));
}

/* (session, id) -> stack, or nil */
int core_stack_of(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_Integer id = luaL_checkinteger(L, 2);
  StackObject *object = object_new(L, &stack_class, session, sizeof *object);
  lun_snapshot *snapshot = id > 0 ? lun_store_stack_of(session->store, (uint64_t)id) : NULL;
  if (!snapshot) return 0;
  hold(L, object, snapshot);
  return 1;
}

/* The callback that it was borrowed from is over. */
static bool is_stale(const StackObject *object) {
  return object->box && (!object->box->call || object->box->serial != object->serial);
}

static StackObject *self(lua_State *L) {
  StackObject *object = object_check(L, 1, &stack_class);
  if (is_stale(object))
    luaL_error(L, "stale frame: the callback that this stack came from is over");
  return object;
}

/* The frame number `wanted`, from 1; NULL: beyond the last. */
static const lun_frame *frame_at(StackObject *object, lua_Integer wanted) {
  if (wanted < 1) return NULL;
  if (object->snapshot) return wanted > UINT32_MAX ? NULL : lun_snapshot_frame(object->snapshot, (uint32_t)wanted - 1);
  if (wanted < object->at) {
    object->cursor = lun_call_stack(object->box->call);
    object->at = 0;
  }
  while (object->at < wanted) {
    if (!lun_stack_next(&object->cursor)) {
      object->cursor = lun_call_stack(object->box->call);
      object->at = 0;
      return NULL;
    }
    object->at++;
  }
  return &object->cursor.frame;
}

static int stack_index(lua_State *L) {
  StackObject *object = self(L);
  int is_integer;
  lua_Integer wanted = lua_tointegerx(L, 2, &is_integer);
  const lun_frame *frame = is_integer ? frame_at(object, wanted) : NULL;
  if (!frame) return 0;
  lua_getiuservalue(L, 1, 2);
  frame_push(L, object->head.session, frame, object->box, lua_gettop(L));
  return 1;
}

static int stack_length(lua_State *L) {
  StackObject *object = self(L);
  lua_Integer count = 0;
  if (object->snapshot) {
    count = lun_snapshot_count(object->snapshot);
  } else {
    for (lun_stack walk = lun_call_stack(object->box->call); lun_stack_next(&walk);) count++;
  }
  lua_pushinteger(L, count);
  return 1;
}

static int get_omitted(lua_State *L) {
  const StackObject *object = self(L);
  lua_pushinteger(L, object->snapshot ? (lua_Integer)lun_snapshot_omitted(object->snapshot) : 0);
  return 1;
}

/* ---- printed ---- */
void name_add(luaL_Buffer *buffer, const char *name, size_t size) {
  char text[8];
  for (; size; name++, size--) {
    unsigned char byte = (unsigned char)*name;
    if (byte >= 32 && byte != 127) {
      luaL_addchar(buffer, *name);
    } else {
      snprintf(text, sizeof text, "\\x%02x", byte);
      luaL_addstring(buffer, text);
    }
  }
}

enum { SOURCES_SHOWN = 64 };

/* The source frames of a frame, innermost first; of more than are shown none. */
static size_t frame_sources(const lun_frame *frame, lun_place sources[SOURCES_SHOWN]) {
  const lun_module *module = lun_definition_module(frame->definition);
  if (frame->offset == LUN_NO_OFFSET || !module) return 0;
  size_t count = lun_module_places(module, frame->offset, sources, SOURCES_SHOWN);
  return count <= SOURCES_SHOWN ? count : 0;
}

static void add_name(luaL_Buffer *buffer, const char *name) {
  name_add(buffer, name, strlen(name));
}

/* Of a frame to be printed. */
typedef struct Shown {
  const lun_frame *frame;
  const lun_snapshot *snapshot;  /* that it is from, or NULL: its callback lasts */
  uint32_t index;                /* there */
} Shown;

static bool shown_exact(const Shown *shown, uint32_t param) {
  return shown->snapshot ? lun_snapshot_exact(shown->snapshot, shown->index, param) : lun_frame_exact(shown->frame, param);
}

/* Of a reference its type: those of the host's making are not asked how they look. */
static void add_value(luaL_Buffer *buffer, Session *session, lun_type type, const uint64_t *slots) {
  lua_State *L = buffer->L;
  char text[40];
  if (type == LUN_V128) {
    snprintf(text, sizeof text, "0x%016" PRIx64 "%016" PRIx64, slots[1], slots[0]);
    luaL_addstring(buffer, text);
  } else if (!types_plain(&type, 1)) {
    luaL_addstring(buffer, *slots ? lun_type_name(type) : "null");
  } else {
    values_push(L, session, &type, 1, slots);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(buffer);
  }
}

static void add_params(luaL_Buffer *buffer, Session *session, const Shown *shown) {
  const lun_definition *definition = shown->frame->definition;
  const lun_signature *signature = lun_definition_signature(definition);
  const uint64_t *slots = shown->snapshot ? lun_snapshot_params(shown->snapshot, shown->index, NULL)
                                          : lun_frame_params(shown->frame, NULL);
  if (!slots || !signature->param_count) return;
  for (uint32_t i = 0; i < signature->param_count; i++) {
    const char *name = lun_definition_param_name(definition, i);
    luaL_addstring(buffer, i ? ", " : "(");
    if (!shown_exact(shown, i)) luaL_addstring(buffer, "now ");
    if (name) add_name(buffer, name);
    if (name) luaL_addchar(buffer, '=');
    add_value(buffer, session, signature->params[i], slots);
    slots += lun_type_slots(signature->params[i]);
  }
  luaL_addchar(buffer, ')');
}

/* What was inlined there stands above the frame, without a number. */
static void add_frame(luaL_Buffer *buffer, Session *session, const Shown *shown, lua_Integer number) {
  const lun_frame *frame = shown->frame;
  const char *name = lun_definition_name(frame->definition);
  bool is_demangled = strcmp(name, lun_definition_raw_name(frame->definition)) != 0;
  char text[64];
  const char *module = frame->is_host ? "host" : frame->instance ? lun_instance_name(frame->instance) : NULL;
  lun_place sources[SOURCES_SHOWN];
  size_t count = frame_sources(frame, sources);
  for (size_t i = 0; i + 1 < count; i++) {
    luaL_addstring(buffer, number > 0 || i > 0 ? "\n    " : "    ");
    add_name(buffer, sources[i].function ? sources[i].function : "?");
    luaL_addstring(buffer, " (inlined)");
    source_add(buffer, &sources[i]);
  }
  snprintf(text, sizeof text, "%s#%-2" PRId64 " ", number > 0 || count > 1 ? "\n" : "", (int64_t)number);
  luaL_addstring(buffer, text);
  name_add(buffer, name, is_demangled ? lun_name_stem(name) : strlen(name));
  add_params(buffer, session, shown);
  if (!module || !*module) module = lun_definition_module_name(frame->definition);
  if (module && *module) {
    luaL_addstring(buffer, " (");
    add_name(buffer, module);
    luaL_addchar(buffer, ')');
  }
  const lun_module *file = lun_definition_module(frame->definition);
  if (frame->offset == LUN_NO_OFFSET || !file) return;
  snprintf(text, sizeof text, " 0x%" PRIx64, lun_module_file_offset(file, frame->offset));
  luaL_addstring(buffer, text);
  if (count) source_add(buffer, &sources[count - 1]);
}

static void add_snapshot(luaL_Buffer *buffer, Session *session, const lun_snapshot *snapshot) {
  uint32_t count = lun_snapshot_count(snapshot), gap = lun_snapshot_gap(snapshot);
  uint64_t omitted = lun_snapshot_omitted(snapshot);
  char text[64];
  for (uint32_t i = 0; i < count; i++) {
    if (omitted && i == gap) {
      snprintf(text, sizeof text, "\n... %" PRIu64 " frames omitted", omitted);
      luaL_addstring(buffer, text);
    }
    const Shown shown = { lun_snapshot_frame(snapshot, i), snapshot, i };
    add_frame(buffer, session, &shown, (lua_Integer)(i < gap ? i : i + omitted));
  }
}

static int stack_tostring(lua_State *L) {
  const StackObject *object = object_check_closed(L, 1, &stack_class);
  luaL_Buffer buffer;
  if (object->head.session->closed || is_stale(object)) {
    lua_pushstring(L, object->head.session->closed ? "stack (its session is closed)" : "stack (stale)");
    return 1;
  }
  luaL_buffinit(L, &buffer);
  if (object->snapshot) {
    add_snapshot(&buffer, object->head.session, object->snapshot);
  } else {
    lua_Integer number = 0;
    for (lun_stack walk = lun_call_stack(object->box->call); lun_stack_next(&walk);) {
      const Shown shown = { &walk.frame, NULL, 0 };
      add_frame(&buffer, object->head.session, &shown, number++);
    }
  }
  luaL_pushresult(&buffer);
  return 1;
}

static int stack_gc(lua_State *L) {
  StackObject *object = object_to(L, 1, &stack_class);
  if (!object) return 0;
  session_give_up(object->head.session, object->owned);
  object->owned = NULL;
  object->snapshot = NULL;
  return 0;
}

static const Field fields[] = { { "omitted", get_omitted, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg metamethods[] = {
  { "__len", stack_length }, { "__tostring", stack_tostring }, { "__gc", stack_gc }, { NULL, NULL },
};
const Class stack_class = { "stack", 2, fields, NULL, metamethods, stack_index, NULL };

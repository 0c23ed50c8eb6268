/* SPDX-License-Identifier: MIT */
/* What happens: the structures that live while guests run. Begin here.
 *
 * A Function has an *entry word* {handler, body}. A body is an array of 16-byte words, each {handler, a, b, c}; a
 * handler does its work and tail-calls the next word's handler. Frames lie on the store's stack of 64-bit slots:
 *
 *     fp[-2-k .. -3]  params 0..n-1, on return results 0..r-1        k = max(n, r), in slots
 *     fp[-2]          the caller's fp
 *     fp[-1]          return word: an address in the caller's code, exit_word, or a patched word (after_word, …)
 *     fp[0 ..]        locals, then one fixed slot per height of the operand stack
 *
 * The caller's outgoing operands are the callee's params: calls copy nothing. The word before a return point is the
 * *call record* {owner, delta, offset}: who called, and from where. Every i32 and f32 is written as a full,
 * zero-extended slot.
 *
 * Beside it each store has one *side stack* of records: a listened call, a cross-instance bridge, a host function at
 * work, an intercepted call, a run's mark. A patched return word means: the true word is in the topmost record of this
 * frame, or in one below it. Walking and unwinding read both stacks downwards together (walk.c). */
#ifndef LUN_ENGINE_H
#define LUN_ENGINE_H

#include <lunette/exception.h>
#include <lunette/listener.h>
#include <stdatomic.h>

#include "module.h"

/* Their addresses and calls need no detour: none of these leaves the library. */
#pragma GCC visibility push(hidden)

typedef uint64_t Slot;
typedef struct lun_store Store;
typedef struct lun_instance Instance;
typedef struct lun_function Function;
typedef struct lun_memory Memory;
typedef struct lun_table Table;
typedef struct lun_global Global_;
typedef struct lun_tag Tag;
typedef struct lun_exception Exception;
typedef struct lun_module Module;
typedef struct lun_definition Definition;
typedef union Word Word;
typedef struct Listening Listening;
/* lun_call of the door is a record of kind CALL or HOST. */
typedef struct lun_call Record;

/* mem and size are those of memory 0 of the running instance; whatever may call out reloads them afterwards. base: on
 * return the address of result 0, else free for the handlers' own use. */
typedef void (*Handler)(const Word *pc, Slot *fp, uint8_t *mem, uint64_t size, Store *store, uint64_t base);

union Word {
  struct {
    Handler handler;
    union {
      struct {
        int16_t a, b;       /* slots from fp; a is the destination, or the first operand of a compare-and-branch */
        union {
          int32_t c;        /* slot, immediate, or branch distance in words */
          uint32_t u;
          struct { int16_t c0, c1; };
        };
      };
      const Word *body;     /* entry words */
      Function *callee;     /* direct calls */
      Slot *cell;           /* global.get, global.set: b is not there; the slot stands in the next word */
    };
  };
  /* Call record: delta from the caller's fp to the callee's; of a tail call TAIL_RECORD and the slot of the arguments. */
  struct { Function *owner; uint32_t delta, offset; };
  struct { void *p0, *p1; };
  uint64_t k[2];
};

#define TAIL_RECORD 0x80000000u

/* A function type, one per store and shape: types are equal where the pointers are. */
typedef struct Type {
  struct Type *next;        /* in its bucket */
  FunctionType type;        /* its references to types are by `index`; to itself: HEAP_SELF */
  uint32_t slots;           /* k = max(param_slots, result_slots) */
  uint32_t index;           /* in its store */
} Type;

/* Where a function goes on when an exception comes out of some of its words (exception.c): inner blocks first. */
typedef struct Catch {
  uint32_t start, end;      /* words of the block: where the frame stands */
  uint32_t target;          /* word to go on at; DELEGATE: the depth of the block whose handlers come next */
  uint32_t depth;           /* of the block that it belongs to */
  int32_t slot, ref_slot;   /* where the values go, and the exception itself; a ref_slot of -1: nowhere */
  const Tag *tag;           /* NULL: any */
  bool is_delegate;
} Catch;

/* A set of params: a bit for each of the first, one for all of the others. */
enum { PARAMS_APART = 63 };
static inline bool is_written(uint64_t written, uint32_t param) {
  return written >> (param < PARAMS_APART ? param : PARAMS_APART) & 1;
}

struct lun_function {
  Word entry;               /* first: pc of an entry is its Function */
  Instance *instance;       /* of a host function the importing one, or NULL */
  const Type *type;
  uint32_t frame_slots;     /* from fp up; UINT32_MAX until it is translated: no stack has the room */
  uint32_t local_slots;     /* to be zeroed at entry */
  const Memory *memory;     /* memory 0 of its instance, or memory_none: what handlers load */
  Handler kept;             /* the handler that enter_traced or another one stands before; NULL: not listened to */
  Listening *set;           /* who listens; NULL with kept NULL */
  Listening *intercepts;    /* who intercepts, likewise */
  const Definition *definition;
  struct HostEntry *host;   /* a host function's registration */
  Store *store;
  Word *code;               /* translated body, owned */
  uint32_t code_words;
  uint8_t *offsets;         /* word → source offset, for words that can fail (offsets.c), owned */
  uint32_t offsets_size;
  uint32_t catch_count;
  Catch *catches;           /* owned */
  uint64_t written_params;  /* those that the body sets: their present value may not be what was passed (is_written) */
  lun_host_callback callback;
  void *self;
};

struct lun_memory {
  uint8_t *data;            /* mapped; may move when it grows */
  uint64_t bytes;
  uint64_t max;             /* pages, as declared (UINT64_MAX: none) */
  uint64_t most;            /* pages, by the limit that held when it was made */
  bool is_64;               /* i64 addresses */
  uint32_t holders;         /* instances and the embedder; at 0 the data is given back */
  Store *store;
};

struct lun_table {
  Slot *items;              /* references; 0 is null */
  uint32_t count;
  lun_type type;
  uint64_t max;
  uint32_t most;            /* by the limit that held when it was made */
  bool is_64;               /* i64 indexes */
  uint32_t holders;
  Store *store;
};

struct lun_global {
  lun_type type;
  bool is_mutable;
  Slot value[2];
  Store *store;
};

/* Exceptions are told apart by their tag: one per instance that defines it, or of the embedder's making. */
struct lun_tag {
  const Type *type;         /* without results */
  Module *module;           /* that defines it, or NULL */
  uint32_t index;
  Store *store;
};

struct lun_exception {
  Store *store;             /* NULL: destroyed, while somebody still holds the exception */
  const Tag *tag;
  uint32_t holders;         /* errors, runs and the embedder; the guest's references are found (exception.c) */
  bool is_marked;
  Exception *next;          /* while marking */
  Slot values[];
};

struct lun_instance {
  Store *store;
  Module *module;
  const char *name;
  Memory *memory;           /* memory 0, or NULL */
  Function **functions;     /* by index, imported ones first */
  Function *own;            /* the defined ones and the host functions bound by import, in one block */
  uint32_t own_count;
  Table **tables;
  Memory **memories;
  Global_ **globals;
  Tag **tags;
  const Type **types;       /* the module's types as the store's */
  bool *dropped_elements, *dropped_datas;
  bool is_live;             /* instantiated whole */
  bool is_metered;          /* its code uses fuel */
  uint32_t max_depth;       /* its calls are counted; 0: they are not */
  bool is_closed;
  bool is_closing;          /* closed with frames on the stack: what it owns is freed when the last is gone */
  void *data;               /* the embedder's */
  uint64_t serial;          /* increasing in its store */
  Instance *next;           /* in its store, newest first */
};

/* ---- the side stack ---- */
typedef enum RecordKind { RECORD_CALL, RECORD_BRIDGE, RECORD_HOST, RECORD_SAFEPOINT, RECORD_MARK, RECORD_INTERCEPT } RecordKind;
/* INTERCEPTED: the callee has returned or failed, and its interceptors go on: its params and locals are gone. */
typedef enum Phase { PHASE_NONE, PHASE_BEFORE, PHASE_AFTER, PHASE_ABORT, PHASE_HOST, PHASE_INTERCEPTED } Phase;

/* A before with its params, or an after with its results. */
typedef void (*Telling)(void *self, Record *record, const Slot *values);

/* A listener as handlers call it. */
typedef struct Ear {
  Telling before;           /* or NULL */
  Telling after;            /* or NULL; calls that are open see it change */
  void *self;
  uint8_t silent;           /* not 0: not for new calls, or not for all of them (trace's) */
} Ear;

/* The head of what trace keeps of those who listen to a function. It never changes, but for its holders. */
struct Listening {
  uint32_t holders;         /* the function, and each open call */
  uint32_t extra;           /* bytes of a record behind its head, less the saved params */
  const Ear *ear;           /* the only one, where nothing is kept of a call for it; NULL: the hooks see to everything */
};

/* Its times are taken; the node of its stack is known; its one listener may jump to the run's guard if there is one, behind
 * which the clock has to go on (trace's); from RECORD_INTERCEPTED on what was done to it, as LUN_INTERCEPTED_…. */
enum { RECORD_TIMED = 1, RECORD_NODE = 2, RECORD_JUMPS = 4, RECORD_CLOCKED = 8, RECORD_INTERCEPTED = 16 };

/* One listener's share of a call. */
typedef struct Hearing {
  void *data;
  uintptr_t heard;          /* its before was delivered */
} Hearing;

struct lun_call {
  Record *prev;             /* further out */
  Slot *fp;                 /* of the frame it belongs to (MARK: of the outermost frame of the run) */
  const Word *ret;          /* CALL, BRIDGE, INTERCEPT: the true return word; MARK: of a frame that was there before its run
                             * (frame_run), else NULL */
  uint8_t kind, phase;
  union {
    uint8_t entry;          /* MARK: lun_entry; EXPORT stands for FUNCTION, too (lun_call_entry) */
    uint8_t flags;          /* CALL: RECORD_…, INTERCEPT: what was replaced; trace's */
  };
  bool failed;              /* a callback of this event said lun_call_fail */
  uint32_t depth;           /* CALL, HOST: 0 = not known yet, else depth + 1 */
  uint64_t serial;          /* not 0: borrowed stacks taken in the callback at work carry it */
  Function *function;       /* CALL, HOST, INTERCEPT: the callee; SAFEPOINT: whose frame was stopped, there or at a grow */
  union {
    Listening *set;         /* CALL: the listeners, frozen; INTERCEPT: the interceptors */
    Instance *instance;     /* BRIDGE: the caller's */
    Record *outer;          /* MARK: of the run further out */
  };
  uint64_t id;              /* CALL; INTERCEPT: slots at `params` */
  uint64_t tail_of;         /* CALL: id of the call that ended in a tail call of this one, or 0 */
  union {
    const Definition *tail; /* CALL in after: the callee of the tail call that ended it, or NULL */
    uint32_t node;          /* CALL with RECORD_NODE: of its stack (trace's) */
    uint64_t call_id;       /* INTERCEPT: the call's, as its listeners know it when it has begun for them */
  };
  Slot *params;             /* CALL: saved, or NULL; INTERCEPT: values, saved and to come */
  uint32_t current;         /* CALL, INTERCEPT: the listener at work */
  uint32_t offset;          /* CALL in abort, INTERCEPT, SAFEPOINT: where this frame stands, or stood; UINT32_MAX: unknown */
  Hearing hearings[];       /* CALL: one per listener of the set, then trace's times, then the saved params */
};

/* A memory or a table was to grow. */
typedef struct Growth {
  Instance *instance;       /* whose code asked for it; NULL: the host */
  Memory *memory;           /* one of the two */
  Table *table;
  uint64_t old, delta, result;  /* result: the old size, or UINT64_MAX */
} Growth;

/* How a call goes on that was intercepted. REFUSED: no room for it, the frame is as it was. RETURNS: the results are in their
 * place, the frame is over. FAILED: store->outcome, error and point tell. */
typedef enum Passage { PASSAGE_GOES_ON, PASSAGE_RETURNS, PASSAGE_FAILED, PASSAGE_REFUSED } Passage;

/* What trace gives to the engine: the engine never learns who listens. */
typedef struct TraceHooks {
  /* Pushes the call's record, puts after_word into the frame and delivers before. False: no room for the record. */
  bool (*enter)(Store *store, Function *function, Slot *fp);
  /* In place of that, where those who listen want to know of nothing but the call. */
  void (*light)(Store *store, Function *function, Slot *fp);
  /* Delivers after for the topmost record, which the engine then pops. */
  void (*leave)(Store *store, Record *record, const Slot *results);
  /* Calls it, and sees to it that nothing of what it was given has changed (listener_tell). */
  void (*tell)(Telling telling, void *self, Record *record, const Slot *values);
  /* The same for a call that ends in a tail call of `callee`. */
  void (*tail)(Store *store, Record *record, const Function *callee);
  void (*abort)(Store *store, Record *record, const lun_error *error);
  void (*failed)(Store *store, Record *record);   /* the one listener that a handler called has failed */
  void (*behind)(Store *store, Record *record);   /* it was left by a jump: the rest of enter or leave */
  void (*drop)(Listening *set);                   /* its last holder is gone */
  /* Asks those who intercept the function; where the call goes on, its listeners have been told. */
  Passage (*intercept)(Store *store, Function *function, Slot *fp);
  /* The callee of such a call has returned: asks about its results, tells after, pops the records; gives the last, popped. */
  Record *(*intercepted)(Store *store, Slot *results);
  void (*intercept_over)(Store *store, Record *record);  /* the call has failed: the engine pops it */
  bool (*wants_stack)(Store *store);     /* somebody may ask the error for its stack */
  lun_status (*instance_made)(Store *store, Instance *instance, lun_error *error);
  void (*instance_live)(Store *store, Instance *instance);
  void (*instance_closed)(Store *store, Instance *instance);
  void (*grown)(Store *store, Record *at, const Growth *growth);  /* at: the topmost record, or NULL */
  void (*destroy)(Store *store);
} TraceHooks;

enum { FLAG_INTERRUPT = 1, FLAG_EXPIRE = 2, FLAG_POKE = 4, FLAG_STOP = 8, FLAG_CLOSE = 16, FLAG_LISTENER = 32 };

typedef struct CodeRange {
  const Word *start, *end;
  Function *function;
} CodeRange;

/* Where a run failed. */
typedef struct Point {
  Function *function;       /* NULL: before its first frame */
  Slot *fp;
  const Word *pc;           /* a word of the function's code, or NULL */
  uint32_t offset;          /* where pc is NULL; UINT32_MAX: none */
} Point;

typedef struct RecordsMap {
  char *start;
  size_t bytes;
} RecordsMap;

struct lun_store {
  /* First what handlers touch. The limit is the stack's end, or 0 while the safepoint flag is raised: one compare at
   * function entries serves both. */
  _Atomic uintptr_t limit;
  Record *record;           /* topmost, or NULL */
  char *record_free, *record_end;
  const TraceHooks *hooks;  /* NULL until something is attached */
  void *trace;
  uint64_t last_id, last_serial;
  uint64_t tail_of;         /* id of the call whose place the callee about to be entered takes, or 0 */
  _Atomic uint32_t flags;
  uint64_t fuel;            /* left for metered instances */
  uint32_t depth;           /* frames of instances with a max_depth */
  uint32_t pending;         /* a callback asked for the end: checked when it returns */
  uint32_t detours;         /* not 0: the hooks tell of every call (store_detours) */
  bool jumps;               /* the run at hand has a guard */

  Slot *stack;              /* mapped, with an unmapped page behind it */
  size_t stack_bytes;
  uintptr_t true_limit;
  Slot *unwind_end;         /* above the frame that failed: what abort callbacks call begins there */
  Record *mark;             /* of the innermost run */
  char *records;            /* the side stack's mapping */
  size_t records_bytes;
  VEC(RecordsMap) former_records; /* its mappings before it had to grow, empty */
  size_t hearings;          /* listeners per call for which it cannot run out before the frames do */

  /* How the run at hand failed (run.c writes, invoke.c reads). */
  lun_status outcome;
  lun_trap trap;
  Point point;
  lun_error error;          /* kind LUN_OK: no text yet */
  int32_t stop_status;
  char *listener_message;   /* of FLAG_LISTENER */
  uint32_t runs;
  uint32_t unwinding;       /* failures being told: their callbacks may still call the guest */
  bool hears_growth;        /* somebody watches for growth (trace's) */
  bool timed;               /* somebody wants times (trace's) … */
  uint64_t watched_ns;      /* … and this much of the monotonic clock was spent watching, in listeners and safepoints */
  uint64_t fence;           /* while that goes on: calls up to this id are outside of it, nothing in it is charged to them */
  bool at_safepoint;        /* the embedder's callback is at work */

  lun_limits limits;        /* of what is made from now on */
  uint32_t max_runs;
  lun_safepoint on_safepoint;
  void *on_safepoint_self;
  lun_wait on_wait;
  void *on_wait_self;
  lun_guard guard;          /* or NULL */
  void *guard_self;
  int wake_fd;              /* eventfd */

  Type *buckets[256];
  uint32_t type_count;
  Arena arena;              /* types, definitions and functions of hosts, instance names */
  Instance *instances;
  uint64_t last_instance;
  VEC(Module *) modules;
  VEC(Memory *) memories;
  VEC(Table *) tables;
  VEC(Global_ *) globals;
  VEC(Tag *) tags;
  VEC(Exception *) exceptions;
  uint64_t exception_bytes, exception_mark;  /* how many, and from how many on to look for those that are gone */
  VEC(Function *) host_functions;   /* those bound to no instance */
  VEC(CodeRange) ranges;    /* sorted when ranges_sorted */
  bool ranges_sorted;
  struct Translator *translator;
};

/* One registered host function: many instances may bind it. */
typedef struct HostEntry {
  const char *module, *name;
  const Type *type;
  const char *const *param_names;
  lun_host_callback callback;
  void *self;
  void (*release)(void *self);
  uint32_t holders;
} HostEntry;

/* ---- run.c: the handlers ---- */
/* What may stand in a frame in place of its return word: each has a call record of nobody's in front, like any. From
 * after_word on they are patched: they stand for the true one. A listened call ends; a bridge; an intercepted call; the end of
 * a frame_run. */
extern const Word special_words[10];
#define exit_word (&special_words[1])
#define after_word (&special_words[3])
#define bridge_word (&special_words[5])
#define intercept_word (&special_words[7])
#define proceed_word (&special_words[9])
/* Whether ret is one of the words first to last: their order serves walks. */
static inline bool is_special(const Word *ret, size_t first, size_t last) {
  return (uintptr_t)ret - (uintptr_t)&special_words[first] <= (last - first) * sizeof *ret;
}
Handler handler_of(int code);        /* of code.h's enum Code */
/* Goes on behind the callback of the topmost record, which was left by a jump; or ends the run there. */
void run_behind(Store *store);
void run_end_behind(Store *store, lun_status outcome);
extern const Handler handler_enter_counted, handler_host_counted;  /* of instances with a max_depth */
extern const Handler handler_translate, handler_host, handler_enter, handler_enter0, handler_enter_traced,
                     handler_enter_light, handler_enter_light_counted, handler_enter_heard, handler_enter_intercepted,
                     handler_closed;

/* ---- translate.c ---- */
/* Makes the function's code; sets frame_slots and the entry (or kept) handler. */
LUN_MUST_CHECK lun_status translate(Function *function);
void translator_destroy(struct Translator *translator);

/* ---- offsets.c: which source offset a word stands for ---- */
typedef struct OffsetTable {
  VEC(uint8_t) bytes;
  uint32_t word, offset;
} OffsetTable;
bool offsets_add(OffsetTable *table, uint32_t word, uint32_t offset);
/* UINT32_MAX: none. */
uint32_t offsets_find(const Function *function, const Word *pc);
/* The function whose code holds the word, or NULL. */
Function *code_owner(Store *store, const Word *pc);
bool code_register(Function *function);
void code_unregister(Instance *instance);
/* Of the first instruction of the body, behind the locals; from the start of the code section's contents. */
uint32_t body_offset(const Definition *definition);

/* ---- invoke.c: entering and leaving the guest ---- */
LUN_MUST_CHECK lun_status invoke(Function *function, const Slot *params, Slot *results, lun_entry entry, lun_error *error);
/* A run of the function's own code in the frame at fp, which is there and has its params; results stand in their place. On
 * failure all that was called in it is over, the frame and its records are as before, *offset says where it stood. */
LUN_MUST_CHECK lun_status frame_run(Store *store, Function *function, Slot *fp, uint32_t *offset, lun_error *error);
/* What a host function's failure is for the guest; sees to it that `error` says so. */
lun_status failure_kind(const Function *function, lun_status status, lun_error *error);
/* The host function's work; called by its handler. */
LUN_MUST_CHECK lun_status host_call(Store *store, Function *function, Slot *fp);
/* At a raised flag: what ends the run, or LUN_OK. Lowers the flag. `at`: where the guest stands, in a frame whose header is
 * written; NULL: in a host function, whose record tells. */
lun_status safepoint(Store *store, const Point *at);
/* A record of sizeof(Record) + extra bytes, a multiple of 16; NULL: no room. The caller fills what its kind needs. */
static inline Record *record_push_flagged(Store *store, RecordKind kind, Phase phase, unsigned flags, Slot *fp, size_t extra) {
  Record *record = (Record *)(void *)store->record_free;
  if (UNLIKELY((size_t)(store->record_end - store->record_free) < sizeof *record + extra)) return NULL;
  store->record_free += sizeof *record + extra;
  record->prev = store->record;
  record->fp = fp;
  record->kind = (uint8_t)kind;
  record->phase = (uint8_t)phase;
  record->flags = (uint8_t)flags;
  record->failed = false;
  record->depth = 0;
  record->serial = 0;
  store->record = record;
  return record;
}
static inline Record *record_push(Store *store, RecordKind kind, Phase phase, Slot *fp, size_t extra) {
  return record_push_flagged(store, kind, phase, 0, fp, extra);
}
_Static_assert(sizeof(Record) % 16 == 0, "records stay aligned");
/* The record of a call that its listeners are about to be told of, who are frozen with it; all but their hearings is filled in.
 * NULL: no room. */
static inline Record *record_open(Store *store, Function *function, unsigned flags, Slot *fp, size_t extra) {
  Record *record = record_push_flagged(store, RECORD_CALL, PHASE_BEFORE, flags, fp, extra);
  if (UNLIKELY(!record)) return NULL;
  record->ret = (const Word *)(uintptr_t)fp[-1];
  record->function = function;
  record->set = function->set;
  record->id = ++store->last_id;
  record->tail_of = store->tail_of;
  record->tail = NULL;
  record->params = NULL;
  record->current = 0; /* nobody may be told before */
  store->tail_of = 0;
  function->set->holders++;
  fp[-1] = (Slot)(uintptr_t)after_word;
  return record;
}
static inline void record_pop(Store *store) {
  store->record_free = (char *)store->record;
  store->record = store->record->prev;
}
void store_raise(Store *store, uint32_t flag);

/* The end of the used part of the stack, as the topmost record tells: C code runs in a callback or a host function, or there
 * is no run. */
Slot *stack_end(const Store *store);
/* Closes open calls up to the record `until`, innermost first, and takes all records above it away; the frames, of which the
 * innermost is at `point`, are still intact. Gives the failure the stack's snapshot, where somebody may ask for it. */
void unwind(Store *store, const Record *until, lun_error *failure, const Point *point, bool wants_stack);

/* ---- exception.c ---- */
/* A new one with one holder; what the guest can still reach lies below `end` on the stack. */
LUN_MUST_CHECK lun_status exception_create(Store *store, const Tag *tag, const Slot *values, const Slot *end, Exception **out);
/* Throws it at `point`. True: store->point is where some frame of this run goes on. False: the run ends there, and the
 * store knows why. Takes over one hold. store->error may hold what is told of it already. */
bool exception_throw(Store *store, Exception *exception, Point point);
lun_status tag_create(Store *store, const Type *type, Module *module, uint32_t index, Tag **out, lun_error *error);
/* "NAME(1, 2.5)", into the buffer, which it returns. */
const char *exception_text(const Exception *exception, char *buffer, size_t room);
void exceptions_destroy(Store *store);

/* ---- walk.c: both stacks downwards together ---- */
typedef struct Walk {
  Store *store;
  Record *record;           /* the topmost record not yet passed */
  Function *function;       /* the frame it stands on */
  Slot *fp;
  const Word *pc;           /* NULL: `offset` */
  uint32_t offset;          /* UINT32_MAX: none */
  bool reentry;             /* the host called this frame */
  const Word *ret;          /* its true return word */
  Record *behind;           /* the topmost record that is not this frame's */
} Walk;
Walk walk_from_record(Store *store, Record *record);
Walk walk_from_point(Store *store, const Point *point);
/* To the calling frame; false: it was the outermost. */
bool walk_next(Walk *walk);
/* UINT32_MAX: none. */
uint32_t walk_offset(const Walk *walk);
/* All but `origin` and `serial`, which say in which callback a borrowed frame was taken. */
void walk_frame(const Walk *walk, lun_frame *out);
/* The present values of a frame's params, NULL where they are gone; `written` (may be NULL): those that may not be what was
 * passed. `record`: the topmost one that is not of a frame further in. */
const Slot *frame_params(const Function *function, const Slot *fp, const Record *record, uint64_t *written);
uint32_t record_depth(Record *record);
/* The true return word of the frame at fp, whose records begin at `record`. */
const Word *true_return(const Slot *fp, const Record *record);
static inline bool is_patched(const Word *ret) { return is_special(ret, 3, 9); }
/* The same for a frame whose return word is patched; moves *record past the frame's. */
const Word *true_return_past(const Slot *fp, Record **record);

/* ---- snapshot.c ---- */
/* `with_params`: the values of the frames' params, too. NULL: out of memory. */
lun_snapshot *snapshot_take(Walk walk, bool with_params);
/* Of these frames, top first; NULL: out of memory. */
lun_snapshot *snapshot_of(const lun_frame *frames, size_t count);

/* ---- memory.c, table.c ---- */
lun_status memory_create(Store *store, const Limits *limits, Memory **out, lun_error *error);
uint64_t memory_grow(Memory *memory, uint64_t pages);
extern const Memory memory_none;
void memory_drop(Memory *memory);    /* one holder less */
void table_drop(Table *table);
lun_status table_create(Store *store, const TableType *type, Slot value, Table **out, lun_error *error);
lun_status global_create(Store *store, lun_type type, bool is_mutable, const Slot *value, Global_ **out, lun_error *error);
uint64_t table_grow(Table *table, Slot value, uint64_t count);  /* the old size, or UINT64_MAX */
/* The bulk instructions; false: out of bounds, and nothing was done. */
bool memory_init(Instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);
bool memory_copy(Memory *to_memory, Memory *from_memory, uint64_t to, uint64_t from, uint64_t count);
bool memory_fill(Memory *memory, uint64_t to, uint8_t value, uint64_t count);
bool table_init(Instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);
bool table_copy(Table *to_table, Table *from_table, uint64_t to, uint64_t from, uint64_t count);
bool table_fill(Table *table, uint64_t to, Slot value, uint64_t count);

/* ---- link.c, constant.c, store.c ---- */
/* Makes sure that the side stack holds calls with so many listeners at any depth. False: not while the guest runs. */
bool records_reserve(Store *store, size_t hearings);
const Type *type_intern(Store *store, const FunctionType *type);
/* The type that the instance's module means, numbered as in the store. */
lun_type type_in_store(const Instance *instance, lun_type type);
/* Whether the value is one of the type, as the store numbers types; `self`: what HEAP_SELF stands for, or NULL. */
bool value_fits(lun_type type, const Type *self, Slot value);
/* LUN_USAGE where an embedder names types that are a module's own. */
LUN_MUST_CHECK lun_status signature_check(const lun_signature *signature, lun_error *error);
/* The first of the values that is none of its type, counted from 0; `count`: there is none. */
uint32_t values_misfit(const Type *self, const lun_type *types, uint32_t count, const Slot *values);
/* Evaluates a constant expression. */
void constant_evaluate(Instance *instance, const Expression *expression, Slot out[2]);
lun_status link_imports(Instance *instance, const lun_imports *imports, lun_error *error);
/* Makes `function` the entry's host function, bound to the instance (or none). */
LUN_MUST_CHECK lun_status function_bind_host(Store *store, HostEntry *entry, Instance *instance, const Import *import,
                                             uint32_t index, Function *function);
HostEntry *host_entry_create(Store *store, const lun_host_function *function, lun_error *error);
void host_entry_release(HostEntry *entry);
void instance_free(Instance *instance);
bool instance_has_frames(const Instance *instance);
/* Frees what closing instances hold, where their last frame is gone. */
void closing_sweep(Store *store);

static inline uint8_t *memory_data(const Instance *instance) {
  return instance && instance->memory ? instance->memory->data : NULL;
}
static inline uint64_t memory_bytes(const Instance *instance) {
  return instance && instance->memory ? instance->memory->bytes : 0;
}

/* Whether listeners that write into what they may only read are found out. */
#ifdef LUN_CHECK_PARAMS
enum { CHECKS_PARAMS = true };
#else
enum { CHECKS_PARAMS = false };
#endif

/* Every before and after is called by this. */
static inline void listener_tell(Telling telling, void *self, Record *record, const Slot *values) {
  if (CHECKS_PARAMS) record->function->store->hooks->tell(telling, self, record, values);
  else telling(self, record, values);
}

/* In a run inside of another, whose callbacks may be at work, and while somebody wants times, handlers call no listener. */
static inline void store_detours(Store *store) { store->detours = store->runs > 1 || store->timed; }

#pragma GCC visibility pop

#endif

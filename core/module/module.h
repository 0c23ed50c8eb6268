/* SPDX-License-Identifier: MIT */
/* What a file says. decode.c turns bytes into a Module, validate.c checks its bodies, names.c answers for names when
 * asked. After that a module never changes (but for cached names). Core specification, chapters 2, 3 and 5.
 *
 * Strings point into the arena, NUL-terminated; code and data point into the module's bytes. */
#ifndef LUN_MODULE_H
#define LUN_MODULE_H

#include <lunette/module.h>

#include "base.h"

/* ---- instructions ---- */
typedef enum Immediate {
  IMM_NONE, IMM_BLOCK, IMM_LABEL, IMM_LABELS, IMM_FUNCTION, IMM_INDIRECT /* type, table */, IMM_LOCAL, IMM_GLOBAL, IMM_TABLE,
  IMM_MEMARG, IMM_MEMORY, IMM_I32, IMM_I64, IMM_F32, IMM_F64, IMM_SELECT /* vector of types */, IMM_HEAP, IMM_TYPE,
  IMM_MEMARG_LANE, IMM_LANE, IMM_V128, IMM_SHUFFLE, IMM_DATA_MEMORY, IMM_DATA, IMM_MEMORY_MEMORY /* dst, src */, IMM_ELEMENT_TABLE, IMM_ELEMENT, IMM_TABLE_TABLE /* dst, src */,
  IMM_TAG, IMM_TRY /* block type, vector of catches */
} Immediate;

/* How the translator treats an instruction (see ops.def). */
typedef enum OpClass {
  CLASS_HAND, CLASS_IBINARY, CLASS_FBINARY, CLASS_TRAPPING_BINARY, CLASS_UNARY, CLASS_TRAPPING_UNARY, CLASS_ICOMPARE,
  CLASS_FCOMPARE, CLASS_TEST, CLASS_LOAD, CLASS_STORE, CLASS_REINTERPRET, CLASS_VUNARY, CLASS_VBINARY, CLASS_VTERNARY,
  CLASS_VSHIFT, CLASS_VTEST, CLASS_VSPLAT, CLASS_VEXTRACT, CLASS_VREPLACE, CLASS_VLOAD, CLASS_VSTORE, CLASS_VLOAD_LANE,
  CLASS_VSTORE_LANE
} OpClass;

typedef enum Op {
#define OP(code, id, text, immediate, signature, class) OP_##id,
#include "ops.def"
#undef OP
  OP_COUNT
} Op;

typedef struct OpInfo {
  uint32_t code;          /* one byte; 0xfc00 | number; 0xfd000 | number */
  const char *text;
  uint8_t immediate, class;
  const char *signature;  /* "ii:i": i I f F = i32 i64 f32 f64, V v128; NULL: by hand */
} OpInfo;
extern const OpInfo op_info[OP_COUNT];

/* Reads an opcode. False: unknown (b->failure tells: "illegal opcode …"), or one of a proposal that is not here; then
 * *missing is the proposal's name ("typed function references", "threads", "garbage collection" …). */
bool op_read(Bytes *b, Op *op, const char **missing);

/* ---- limits: over one of them a module is LUN_INVALID or LUN_MALFORMED with a sentence. The first two lines can be
 * lowered (lun_limits), the others are the engine's own ---- */
enum {
  LIMIT_MODULE_BYTES = 1 << 30, LIMIT_TYPES = 1000000, LIMIT_FUNCTIONS = 1000000,
  LIMIT_LOCALS = 50000, LIMIT_NESTING = 1000000, LIMIT_BODY_BYTES = 7654321 * 4,

  LIMIT_IMPORTS = 1000000, LIMIT_EXPORTS = 1000000, LIMIT_GLOBALS = 1000000, LIMIT_TABLES = 100000, LIMIT_MEMORIES = 100,
  LIMIT_TAGS = 1000000,
  LIMIT_ELEMENTS = 10000000, LIMIT_DATAS = 100000, LIMIT_PARAMS = 1000, LIMIT_RESULTS = 1000, LIMIT_CONSTANT_VALUES = 1000,
  LIMIT_OPERANDS = 10000000  /* values on a body's operand stack */
};

/* ---- the module ---- */
typedef struct FunctionType {
  lun_signature signature;
  uint32_t param_slots, result_slots;
  bool has_typed;           /* there are references in it other than funcref and externref */
  bool has_indexes;         /* … to types by number */
  uint32_t canonical;       /* the first of the module's types that is equal: types are equal where this is */
  lun_type reference, nullable_reference;  /* (ref canonical), (ref null canonical) */
} FunctionType;

typedef struct Limits {
  uint64_t min, max;  /* max: UINT64_MAX where the module gives none */
  bool is_64;         /* addresses or indexes, and sizes, are i64 */
} Limits;
typedef struct TableType {
  lun_type type;
  Limits limits;
} TableType;
typedef struct MemoryType {
  Limits limits;      /* pages */
} MemoryType;
typedef struct GlobalType {
  lun_type type;
  bool is_mutable;
} GlobalType;

/* What an exception carries: the params of a function type without results. */
typedef struct TagType {
  uint32_t index;           /* of the type */
  const FunctionType *type; /* NULL: there is no such type (until validated) */
} TagType;

typedef struct Import {
  const char *module, *name;
  lun_extern_kind kind;
  uint32_t type;      /* functions, tags */
  TableType table;
  MemoryType memory;
  GlobalType global;
} Import;
typedef struct Export {
  const char *name;
  size_t name_size;   /* a name may hold NUL bytes */
  lun_extern_kind kind;
  uint32_t index;
} Export;

/* A constant expression, its `end` included; validated. */
typedef struct Expression {
  const uint8_t *code;
  uint32_t size;
} Expression;

typedef struct Global {  /* imported ones first; those have no init */
  GlobalType type;
  Expression init;
} Global;

typedef enum SegmentMode { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARATIVE } SegmentMode;
typedef struct Element {
  SegmentMode mode;
  uint32_t table;
  Expression offset;      /* active */
  lun_type type;
  uint32_t count;
  uint32_t *functions;    /* count function indexes, or NULL: … */
  Expression *items;      /* … count expressions */
} Element;
typedef struct Data {
  SegmentMode mode;
  uint32_t memory;
  Expression offset;      /* active */
  const uint8_t *bytes;
  uint32_t size;
} Data;

struct lun_definition {
  lun_module *module;         /* of a host function the importing one, or NULL */
  uint32_t index;
  bool is_host;
  bool is_declared;           /* ref.func may name it (core specification, 3.4: C.refs) */
  const FunctionType *type;
  const Import *import;       /* NULL: defined here, or a host function bound to nothing */
  const uint8_t *body;        /* defined here: from the vector of locals to the final end */
  uint32_t body_size;
  const char *name;           /* cached; NULL until asked for */
  const char *shown_name;     /* the same, demangled */
  const char *module_name;    /* host functions */
  const char *const *param_names; /* host functions: one per param, or NULL */
};

struct lun_module {
  Arena arena;
  const uint8_t *bytes;
  size_t size;
  void (*release)(void *self, const void *bytes, size_t size);
  void *release_self;
  uint32_t holders;                   /* module_retain, module_release */
  lun_limits limits;                  /* none is 0 */
  const char *given_name;             /* by the embedder */
  size_t code_start;                  /* file offset of the code section's contents; 0: none */

  FunctionType *types;         uint32_t type_count;
  Import *imports;             uint32_t import_count;
  Export *exports;             uint32_t export_count;
  lun_definition *functions;   uint32_t function_count, imported_functions;  /* imported ones first, in each of these */
  TableType *tables;           uint32_t table_count, imported_tables;
  Expression *table_inits;            /* by table: what its elements are at first; no code: null (or imported) */
  MemoryType *memories;        uint32_t memory_count, imported_memories;
  Global *globals;             uint32_t global_count, imported_globals;
  TagType *tags;               uint32_t tag_count, imported_tags;
  Element *elements;           uint32_t element_count;
  Data *datas;                 uint32_t data_count;
  bool has_data_count;         uint32_t declared_data_count;
  bool has_start;              uint32_t start;

  uint32_t *export_order;             /* export indexes by name (strcmp order, by bytes), for export_find */
  uint32_t *function_exports;         /* indexes of the function exports, by function index; */
  uint32_t function_export_count;
  const uint8_t *name_section;        /* contents behind the section's name, or NULL */
  size_t name_section_size;
  struct Names *names;                /* parsed when first asked for */
  bool names_tried;
  void *symbols;                      /* core/symbols', made when first asked for; freed by symbols_destroy */
  void (*symbols_destroy)(void *symbols);
  const char **tag_names;             /* cached */
  const char **port_texts;            /* of the types of imports, then exports; cached */
};

/* decode.c. Takes the bytes over in every case (release is called on failure). `name` is copied. */
LUN_MUST_CHECK lun_status module_decode(const void *bytes, size_t size, const lun_module_options *options,
                                        const lun_limits *limits, lun_module **out, lun_error *error);
/* validate.c. All bodies, constant expressions, segments, exports, start. */
LUN_MUST_CHECK lun_status module_validate(lun_module *module, lun_error *error);
lun_module *module_retain(lun_module *module);
void module_release(lun_module *module);
/* From the name section; NULL: none. */
const char *names_local(lun_module *module, uint32_t function, uint32_t local);

/* Of the name section, else its export, else "#index". Never NULL. */
const char *module_tag_name(lun_module *module, uint32_t index);
/* The export of that name, or NULL. */
const Export *export_find(const lun_module *module, const char *name, size_t name_size);
/* "i32 i64 -> f32", "->" …: for messages; into the buffer, cut to its room. */
const char *signature_text(const lun_signature *signature, char *buffer, size_t room);
bool signature_equal(const lun_signature *a, const lun_signature *b);
/* The type of a block: of its index, or the one-result shorthand. Then `single` is that type and results points to it
 * (anew after a copy); otherwise it is 0. */
typedef struct BlockType {
  uint32_t param_count, result_count;
  const lun_type *params, *results;
  lun_type single;
} BlockType;
/* Reads a block type (core specification, 5.4.1). False: b->failure is set ("unknown type": well-formed, not there). */
bool block_type_read(Bytes *b, const lun_module *module, BlockType *out);

/* A clause of try_table: at an exception of the tag (or any), its values and perhaps itself go to the label. */
enum { CATCH_REF = 1, CATCH_ALL = 2, CATCH_KINDS = 4 }; /* the bits of a clause's kind */
typedef struct CatchClause {
  uint8_t kind;
  uint32_t tag, label;
} CatchClause;
CatchClause catch_read(Bytes *b);

/* Reads one value type; 0 and b->failure where it is none that the engine knows. A number of a type that the module does
 * not have is "unknown type": well-formed, but not there; with NULL for the module any number will do. */
lun_type value_type_read(Bytes *b, const lun_module *module);
/* The immediate of ref.null: the type of that null. */
lun_type heap_type_read(Bytes *b, const lun_module *module);

/* ---- references (types.c) ---- */
enum {
  REF_CODE = 0x64, REF_NULL_CODE = 0x63,
  HEAP_SELF = 0x7fffff      /* in types that are compared: the number of the type itself (more than there can be) */
};
static inline lun_type type_of_heap(uint32_t heap, bool nullable) { return heap << 8 | (nullable ? REF_NULL_CODE : REF_CODE); }
bool type_is_reference(lun_type type);
/* Whether it refers to a function type by number, and to which. */
static inline bool type_has_index(lun_type type) {
  return ((type & 0xff) == REF_CODE || (type & 0xff) == REF_NULL_CODE) && !(type & LUN_HEAP_ABSTRACT);
}
static inline uint32_t type_index(lun_type type) { return type >> 8; }
/* The reference without its null, with it. */
lun_type type_non_null(lun_type type);
lun_type type_or_null(lun_type type);
/* Whether a value of `type` is one of `wanted`: subtyping (core specification, 3.3.3). Both of one numbering. */
bool type_matches(lun_type type, lun_type wanted);
bool types_match(const lun_type *types, const lun_type *wanted, uint32_t count);
/* In unreachable code: a reference to nothing in particular, which matches all others. */
#define BOTTOM_REFERENCE 0xffffff64u

#endif

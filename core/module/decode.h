/* SPDX-License-Identifier: MIT */
/* What the files of this folder share and nobody else needs: the state of decoding, the words for what is not here,
 * stepping over code, and how an error says where it was. The structures of a module are in module.h. */
#ifndef LUN_DECODE_H
#define LUN_DECODE_H

#include "module.h"

/* ---- what the engine does not have (later.c) ---- */
typedef struct Later {
  const char *proposal;  /* "SIMD"; NULL: nothing */
  const char *text;      /* the instruction or type: "v128.const" */
} Later;

/* The instruction of this byte (and of this number behind a prefix), where a proposal has one. */
bool later_instruction(uint8_t byte, uint32_t number, Later *later);
bool later_type(uint8_t byte, Later *later);

/* ---- instructions (ops.c) ---- */
/* By code, of one byte, 0x100 + the number behind the prefix 0xfc, or 0x200 + that behind 0xfd: one more than the Op;
 * 0: none. */
extern const uint16_t op_of_code[0x400];
/* Of a vector instruction that accesses memory its natural alignment, as an exponent; of one with a lane its lanes. */
uint32_t vector_alignment(Op op);
uint32_t vector_lanes(Op op);
/* As op_read, and tells the missing instruction, too. */
bool op_read_later(Bytes *b, Op *op, Later *later);
typedef struct Memarg {
  uint32_t align, memory;
  uint64_t offset;
} Memarg;
Memarg memarg_read(Bytes *b);

/* ---- types (types.c) ---- */
static inline lun_type address_type(const Limits *limits) { return limits->is_64 ? LUN_I64 : LUN_I32; }
lun_type reference_type_read(Bytes *b, const lun_module *module);
/* The failure of a reader that met the number of a type that is not there: invalid, not malformed. */
extern const char unknown_type[];

/* ---- equal types (canonical.c) ---- */
/* A hash table of the types entered so far: one more than the number of each, 0: free. */
typedef struct TypePlaces {
  uint32_t *items, mask;
} TypePlaces;
/* For so many types; the caller frees the items. False: no memory. */
bool type_places_make(TypePlaces *places, uint32_t count);
/* Fills in what follows from the signature of the module's type at `index`, and makes its references canonical. */
void type_enter(lun_module *module, TypePlaces *places, uint32_t index);

/* ---- stepping over code (skim.c) ---- */
typedef struct Skim {
  const lun_module *module;
  VEC(uint8_t) open;     /* for each open block whether an else may come; reused */
  Later later;           /* with b->failure: what was met that is not here */
} Skim;
/* From the first instruction to behind the `end` that closes it; whether it is well-formed, nothing else. */
LUN_MUST_CHECK lun_status code_skim(Skim *skim, Bytes *b);
/* A body: locals, then code, which must reach to the end of the bytes. */
LUN_MUST_CHECK lun_status body_skim(Skim *skim, Bytes *b);
/* The failure of an else, catch or delegate where none belongs. */
const char *misplaced_text(Op op);
void skim_clear(Skim *skim);
/* The groups of a body's locals: calls `group` (which may be NULL) for each that is not empty. The sum fits 32 bits. */
typedef bool (*LocalGroup)(void *self, uint32_t count, lun_type type);
bool locals_read(Bytes *b, const lun_module *module, LocalGroup group, void *self);

/* ---- decoding (decode.c, sections.c) ---- */
typedef struct Decoder {
  lun_module *module;
  Bytes b;               /* the contents of the section at work */
  const char *place;     /* "type section" */
  Skim skim;
  uint32_t body_count;   /* functions and bodies must be as many */
  lun_error error;
} Decoder;

/* Decodes the contents in d->b. False: d->error or d->b.failure tells why. */
bool section_decode(Decoder *d, uint8_t id);
/* After the last section: what must agree between sections, and the tables to look things up by. */
bool sections_finish(Decoder *d);
/* Sets the error, its offset where the reader stands, and returns false. */
bool decode_fail(Decoder *d, lun_status kind, const char *format, ...) LUN_PRINTF(3, 4);

/* ---- validation (validate.c: bodies; rules.c: everything else) ---- */
LUN_MUST_CHECK lun_status bodies_validate(lun_module *module, lun_error *error);
LUN_MUST_CHECK lun_status rules_validate(lun_module *module, lun_error *error);

/* ---- errors ---- */
/* Sets the error of malformed bytes: the reader's text or the sentence for what is missing, then the place. Invalid where
 * the reader met an unknown type. */
lun_status malformed_set(lun_error *error, const lun_module *module, const Bytes *b, const Later *later, const char *place);
/* "function #12 \"main\"", into the buffer, which it returns. */
enum { PLACE_ROOM = 160 };
const char *function_place(const lun_definition *definition, char buffer[PLACE_ROOM]);
/* "SIMD is not supported", with the right verb. */
const char *later_sentence(const Later *later, char *buffer, size_t room);

/* ---- names (names.c) ---- */
/* Of the name section, or NULL. */
const char *names_module(lun_module *module);
const char *names_function(lun_module *module, uint32_t function);
const char *names_tag(lun_module *module, uint32_t tag);
uint32_t names_local_count(lun_module *module, uint32_t function);
void names_clear(lun_module *module);

#endif

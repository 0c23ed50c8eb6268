/* SPDX-License-Identifier: MIT */
/* The engine's own instructions, made from the one table: one per numeric instruction, with the forms that the
 * translator picks: _K takes an immediate in place of the second operand, BR_ fuses a compare with the branch behind it
 * (BRN_: branch if not), LOOP_ is the same with a safepoint, for branches backwards, _64 is for 64-bit addresses or
 * indexes. The rest stands in CODE_LIST. */
#ifndef LUN_CODE_H
#define LUN_CODE_H

#define CODE_LIST(X) \
  X(EXIT) X(AFTER) X(AFTER_TOLD) X(BRIDGE) X(TRANSLATE) X(HOST) X(ENTER) X(ENTER0) X(ENTER_TRACED) X(ENTER_HEARD) \
  X(ENTER_LIGHT) X(ENTER_LIGHT_COUNTED) X(ENTER_INTERCEPTED) X(INTERCEPTED) X(CLOSED) X(UNREACHABLE) \
  X(MOVE) X(MOVE_FAR_GET) X(MOVE_FAR_PUT) X(CONST) X(CONST_S) X(CONST64) X(BR) X(BR_NZ) X(BR_Z) X(LOOP) X(LOOP_NZ) X(LOOP_Z) \
  X(BR_TABLE) X(THROW) X(THROW_REF) X(RETURN) X(RETURN1) X(CALL) X(CALL_BRIDGE) X(CALL_INDIRECT) X(RETURN_CALL) \
  X(RETURN_CALL_INDIRECT) X(CALL_REF) X(RETURN_CALL_REF) X(REF_AS_NON_NULL) \
  X(SELECT) X(SELECT_V) X(GLOBAL_GET_V) X(GLOBAL_SET_V) X(CONST_V) X(SHUFFLE) X(GLOBAL_GET) X(GLOBAL_SET) X(USE_MEMORY) \
  X(MEMORY_SIZE) X(MEMORY_GROW) X(MEMORY_INIT) X(MEMORY_COPY) X(MEMORY_FILL) X(DATA_DROP) X(TABLE_GET) X(TABLE_SET) \
  X(TABLE_SIZE) X(TABLE_GROW) X(TABLE_INIT) X(TABLE_COPY) X(TABLE_FILL) X(ELEM_DROP) X(ADDRESS_64) X(INDEX_64) \
  X(MEMORY_GROW_64) X(MEMORY_INIT_64) X(MEMORY_COPY_64) X(MEMORY_FILL_64) X(TABLE_GET_64) X(TABLE_SET_64) \
  X(TABLE_GROW_64) X(TABLE_INIT_64) X(TABLE_COPY_64) X(TABLE_FILL_64) X(ENTER_COUNTED) X(HOST_COUNTED) X(LEAVE) X(FUEL) \
  X(FUEL_RANGE)

/* CODES_class(X, id): the forms of a row of ops.def. */
#define CODES_CLASS_HAND(X, id)
#define CODES_CLASS_REINTERPRET(X, id)
#define CODES_CLASS_IBINARY(X, id) X(id) X(id##_K)
#define CODES_CLASS_FBINARY(X, id) X(id)
#define CODES_CLASS_TRAPPING_BINARY(X, id) X(id)
#define CODES_CLASS_UNARY(X, id) X(id)
#define CODES_CLASS_TRAPPING_UNARY(X, id) X(id)
#define CODES_CLASS_TEST(X, id) X(id)
#define CODES_CLASS_LOAD(X, id) X(id) X(id##_64)
#define CODES_CLASS_STORE(X, id) X(id) X(id##_64)
#define CODES_CLASS_VUNARY(X, id) X(id)
#define CODES_CLASS_VBINARY(X, id) X(id)
#define CODES_CLASS_VTERNARY(X, id) X(id)
#define CODES_CLASS_VSHIFT(X, id) X(id)
#define CODES_CLASS_VTEST(X, id) X(id)
#define CODES_CLASS_VSPLAT(X, id) X(id)
#define CODES_CLASS_VEXTRACT(X, id) X(id)
#define CODES_CLASS_VREPLACE(X, id) X(id)
#define CODES_CLASS_VLOAD(X, id) X(id) X(id##_64)
#define CODES_CLASS_VSTORE(X, id) X(id) X(id##_64)
#define CODES_CLASS_VLOAD_LANE(X, id) X(id) X(id##_64)
#define CODES_CLASS_VSTORE_LANE(X, id) X(id) X(id##_64)
#define CODES_CLASS_ICOMPARE(X, id) X(id) X(id##_K) X(BR_##id) X(BR_##id##_K) X(LOOP_##id) X(LOOP_##id##_K)
#define CODES_CLASS_FCOMPARE(X, id) X(id) X(BR_##id) X(BRN_##id) X(LOOP_##id) X(LOOPN_##id)

typedef enum Code {
#define CODE_ENUM(id) CODE_##id,
#define OP(code, id, text, immediate, signature, class) CODES_##class(CODE_ENUM, id)
#include "ops.def"
#undef OP
  CODE_LIST(CODE_ENUM)
#undef CODE_ENUM
  CODE_COUNT
} Code;

#endif

/* SPDX-License-Identifier: MIT */
/* Constant expressions: initial values of globals, offsets of segments, elements. Validated, so nothing is checked again.
 * Core specification, 3.4.11 (Constant Expressions), with add, sub and mul of 3.0. */
#include "engine.h"
#include "numeric.h"

static Slot binary(Op op, Slot x, Slot y) {
  switch (op) {
  case OP_I32_ADD: return num_I32_ADD(x, y);
  case OP_I32_SUB: return num_I32_SUB(x, y);
  case OP_I32_MUL: return num_I32_MUL(x, y);
  case OP_I64_ADD: return num_I64_ADD(x, y);
  case OP_I64_SUB: return num_I64_SUB(x, y);
  default: return num_I64_MUL(x, y);
  }
}

/* A v128 has no instructions here but the constant, so that its upper half needs no stack. */
void constant_evaluate(Instance *instance, const Expression *expression, Slot out[2]) {
  Bytes b = bytes_of(expression->code, expression->size);
  Slot stack[LIMIT_CONSTANT_VALUES + 1], upper = 0;
  uint32_t height = 0;
  Op op;
  const char *missing;
  while (op_read(&b, &op, &missing) && op != OP_END && height < LIMIT_CONSTANT_VALUES) {
    switch (op) {
    case OP_I32_CONST: stack[height++] = (uint32_t)bytes_s32(&b); break;
    case OP_I64_CONST: stack[height++] = (uint64_t)bytes_s64(&b); break;
    case OP_F32_CONST: stack[height++] = bytes_u32le(&b); break;
    case OP_F64_CONST: stack[height++] = bytes_u64le(&b); break;
    case OP_V128_CONST: stack[height++] = bytes_u64le(&b), upper = bytes_u64le(&b); break;
    case OP_REF_NULL: heap_type_read(&b, NULL), stack[height++] = 0; break;
    case OP_REF_FUNC: stack[height++] = (Slot)(uintptr_t)instance->functions[bytes_u32(&b)]; break;
    case OP_GLOBAL_GET: {
      const Global_ *global = instance->globals[bytes_u32(&b)];
      stack[height++] = global->value[0], upper = global->value[1];
      break;
    }
    default:
      if (height < 2) return;
      height--;
      stack[height - 1] = binary(op, stack[height - 1], stack[height]);
      break;
    }
  }
  out[0] = height > 0 ? stack[0] : 0;
  out[1] = upper;
}

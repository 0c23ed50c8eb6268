/* SPDX-License-Identifier: MIT */
/* Constant expressions: initial values of globals, offsets of segments, elements. Validated, so nothing is checked again.
 * Core specification, 3.4.11 (Constant Expressions). */
#include "engine.h"

void constant_evaluate(Instance *instance, const Expression *expression, Slot out[2]) {
  Bytes b = bytes_of(expression->code, expression->size);
  Op op;
  const char *missing;
  out[0] = out[1] = 0;
  while (op_read(&b, &op, &missing) && op != OP_END) {
    switch (op) {
    case OP_I32_CONST: out[0] = (uint32_t)bytes_s32(&b); break;
    case OP_I64_CONST: out[0] = (uint64_t)bytes_s64(&b); break;
    case OP_F32_CONST: out[0] = bytes_u32le(&b); break;
    case OP_F64_CONST: out[0] = bytes_u64le(&b); break;
    case OP_V128_CONST: out[0] = bytes_u64le(&b), out[1] = bytes_u64le(&b); break;
    case OP_REF_NULL: value_type_read(&b); break;
    case OP_REF_FUNC: out[0] = (Slot)(uintptr_t)instance->functions[bytes_u32(&b)]; break;
    case OP_GLOBAL_GET: {
      const Global_ *global = instance->globals[bytes_u32(&b)];
      out[0] = global->value[0], out[1] = global->value[1];
      break;
    }
    default: return;
    }
  }
}

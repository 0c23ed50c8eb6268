/* SPDX-License-Identifier: MIT */
/* The rules of exceptions: throwing; try_table, whose clauses branch to labels; and try with its catches, which toolchains
 * still emit. One function per instruction, called by validate.c with the reader behind the opcode; false: the error is set.
 * Core specification 3.0, 3.4.6; exception-handling proposal, legacy/Exceptions.md. */
#include "validate.h"

/* What exceptions of the tag carry. */
static bool tag_signature(Validator *v, uint32_t index, const lun_signature **signature) {
  if (index >= v->module->tag_count) return validate_fail(v, "unknown tag %u", index);
  *signature = &v->module->tags[index].type->signature;
  return true;
}

bool check_throw(Validator *v) {
  const lun_signature *tag = NULL;
  return tag_signature(v, bytes_u32(&v->b), &tag) && pop_all(v, tag->params, tag->param_count) && check_unreachable(v);
}

bool check_throw_ref(Validator *v) { return pop(v, LUN_EXNREF) && check_unreachable(v); }

/* ---- try_table ---- */

static bool clause_check(Validator *v) {
  static const lun_signature nothing;
  CatchClause clause = catch_read(&v->b);
  if (v->b.failure) return validate_fail_read(v);
  const lun_signature *tag = &nothing;
  const lun_type *wanted;
  uint32_t count;
  if (!(clause.kind & CATCH_ALL) && !tag_signature(v, clause.tag, &tag)) return false;
  if (!validate_label(v, clause.label, &wanted, &count)) return false;
  uint32_t given = tag->param_count + (clause.kind & CATCH_REF);
  if (given != count) return validate_fail(v, "type mismatch: a catch gives %u values, its label takes %u", given, count);
  for (uint32_t i = 0; i < count; i++) {
    lun_type type = i < tag->param_count ? tag->params[i] : LUN_REF_EXN;
    if (!type_matches(type, wanted[i])) return validate_mismatch_types(v, wanted[i], type);
  }
  return true;
}

/* The labels of the clauses are those around the block. */
bool check_try_table(Validator *v) {
  BlockType type;
  if (!validate_block_type(v, &type)) return false;
  uint32_t count = bytes_u32(&v->b);
  if (count > bytes_left(&v->b) / 2) bytes_fail(&v->b, "unexpected end");
  if (v->b.failure) return validate_fail_read(v);
  for (uint32_t i = 0; i < count; i++) {
    if (!clause_check(v)) return false;
  }
  return pop_all(v, type.params, type.param_count) && control_push(v, KIND_BLOCK, &type) &&
         push_all(v, type.params, type.param_count);
}

/* ---- try ---- */

bool check_try(Validator *v) {
  BlockType type;
  return validate_block_type(v, &type) && pop_all(v, type.params, type.param_count) && control_push(v, KIND_TRY, &type) &&
         push_all(v, type.params, type.param_count);
}

static bool misplaced(Validator *v) {
  v->b.at = v->instruction;
  return validate_fail_malformed(v, misplaced_text(v->op));
}

/* From the try's body, or an earlier catch, to the next one. */
static bool catch_begin(Validator *v, BlockKind kind) {
  if (v->control->kind != KIND_TRY && v->control->kind != KIND_CATCH) return misplaced(v);
  if (!control_close(v)) return false;
  v->control->kind = (uint8_t)kind;
  v->control->unreachable = false;
  return true;
}

bool check_catch(Validator *v) {
  const lun_signature *tag = NULL;
  uint32_t index = bytes_u32(&v->b);
  return catch_begin(v, KIND_CATCH) && tag_signature(v, index, &tag) && push_all(v, tag->params, tag->param_count);
}

bool check_catch_all(Validator *v) { return catch_begin(v, KIND_CATCH_ALL); }

/* Ends the try; the label is one around it. */
bool check_delegate(Validator *v) {
  const lun_type *types;
  uint32_t count, depth = bytes_u32(&v->b);
  if (v->control->kind != KIND_TRY) return misplaced(v);
  return check_end(v) && validate_label(v, depth, &types, &count);
}

bool check_rethrow(Validator *v) {
  const lun_type *types;
  uint32_t count, depth = bytes_u32(&v->b);
  if (!validate_label(v, depth, &types, &count)) return false;
  uint8_t kind = v->controls.items[v->controls.count - 1 - depth].kind;
  if (kind != KIND_CATCH && kind != KIND_CATCH_ALL) return validate_fail(v, "invalid rethrow label %u: it is no catch", depth);
  return check_unreachable(v);
}

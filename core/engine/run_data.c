/* SPDX-License-Identifier: MIT */
/* The handlers that move values: between slots, to and from globals and tables, and memory as a whole. How a handler is
 * written stands in run.h. */
#include "run.h"

/* ---- moving values ---- */
HANDLER(MOVE) { A = B; NEXT; }
HANDLER(MOVE_FAR_GET) { A = C; NEXT; }
HANDLER(MOVE_FAR_PUT) { C = A; NEXT; }
HANDLER(CONST) { A = pc->u; NEXT; }
HANDLER(CONST_S) { A = (uint64_t)(int64_t)pc->c; NEXT; }
HANDLER(CONST64) { A = pc[1].k[0]; GO(pc + 2); }
HANDLER(REF_AS_NON_NULL) { if (UNLIKELY(!B)) TRAP(LUN_TRAP_NULL_REFERENCE); A = B; NEXT; }
HANDLER(SELECT) { /* b is the condition */
  Slot x = fp[pc->c0], y = fp[pc->c1];
  A = B ? x : y;
  NEXT;
}
HANDLER(GLOBAL_GET) { A = *pc[1].cell; GO(pc + 2); }
HANDLER(GLOBAL_SET) { *pc[1].cell = A; GO(pc + 2); }

/* ---- memory 0 as a whole ---- */
/* The loads and stores behind it are of this memory; another one of memory 0 follows them. */
HANDLER(USE_MEMORY) {
  const Memory *memory = pc[1].p0;
  mem = memory->data, size = memory->bytes;
  GO(pc + 2);
}
HANDLER(MEMORY_SIZE) { A = ((const Memory *)pc[1].p0)->bytes / LUN_PAGE; GO(pc + 2); }
#define MEMORY_GROW(id, type) \
  HANDLER(id) { /* p1: the instance */ \
    base = (type)B; \
    A = (type)memory_grow(pc[1].p0, base); \
    if (UNLIKELY(store->hears_growth)) return run_memory_grown(pc, fp, mem, size, store, base); \
    const Instance *instance = pc[1].p1; \
    mem = memory_data(instance), size = memory_bytes(instance); \
    GO(pc + 2); \
  }
MEMORY_GROW(MEMORY_GROW, uint32_t)
MEMORY_GROW(MEMORY_GROW_64, uint64_t)
/* To b, an i64 address, an offset beyond 32 bits is added; what no memory can hold becomes an address beyond all. */
HANDLER(ADDRESS_64) {
  uint64_t offset = pc[1].k[0], address = B + offset;
  A = address < offset ? UINT64_MAX : address;
  GO(pc + 2);
}
/* An i64 index of a table; what no table can hold becomes an index beyond all. */
HANDLER(INDEX_64) { A = B > UINT32_MAX ? UINT32_MAX : B; NEXT; }

/* ---- bulk: three operands in a row from slot a; the next word names what is meant, u its segment ----
 * In the _64 forms some operands are i64; the others are zero-extended, like every i32 in a slot. */
#define T(i) ((uint32_t)fp[pc->a + (i)])
#define W(i) (fp[pc->a + (i)])
#define SEGMENT (uint32_t)(uintptr_t)pc[1].p1, pc->u
#define BULK(id, call, which) HANDLER(id) { if (UNLIKELY(!(call))) TRAP(which); GO(pc + 2); }
BULK(MEMORY_INIT, memory_init(pc[1].p0, SEGMENT, T(0), T(1), T(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(MEMORY_COPY, memory_copy(pc[1].p0, pc[1].p1, T(0), T(1), T(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(MEMORY_FILL, memory_fill(pc[1].p0, T(0), (uint8_t)T(1), T(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(TABLE_INIT, table_init(pc[1].p0, SEGMENT, T(0), T(1), T(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
BULK(TABLE_COPY, table_copy(pc[1].p0, pc[1].p1, T(0), T(1), T(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
BULK(TABLE_FILL, table_fill(pc[1].p0, T(0), W(1), T(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
BULK(MEMORY_INIT_64, memory_init(pc[1].p0, SEGMENT, W(0), T(1), T(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(MEMORY_COPY_64, memory_copy(pc[1].p0, pc[1].p1, W(0), W(1), W(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(MEMORY_FILL_64, memory_fill(pc[1].p0, W(0), (uint8_t)T(1), W(2)), LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
BULK(TABLE_INIT_64, table_init(pc[1].p0, SEGMENT, W(0), T(1), T(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
BULK(TABLE_COPY_64, table_copy(pc[1].p0, pc[1].p1, W(0), W(1), W(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
BULK(TABLE_FILL_64, table_fill(pc[1].p0, W(0), W(1), W(2)), LUN_TRAP_TABLE_OUT_OF_BOUNDS)
HANDLER(DATA_DROP) { ((Instance *)pc[1].p0)->dropped_datas[pc->u] = true; GO(pc + 2); }
HANDLER(ELEM_DROP) { ((Instance *)pc[1].p0)->dropped_elements[pc->u] = true; GO(pc + 2); }

/* ---- single elements: b is the index, the next word the table ---- */
#define TABLE_FORMS(suffix, type) \
  HANDLER(TABLE_GET##suffix) { \
    const Table *table = pc[1].p0; \
    type index = (type)B; \
    if (UNLIKELY(index >= table->count)) TRAP(LUN_TRAP_TABLE_OUT_OF_BOUNDS); \
    A = table->items[index]; \
    GO(pc + 2); \
  } \
  HANDLER(TABLE_SET##suffix) { /* a: the value */ \
    const Table *table = pc[1].p0; \
    type index = (type)B; \
    if (UNLIKELY(index >= table->count)) TRAP(LUN_TRAP_TABLE_OUT_OF_BOUNDS); \
    table->items[index] = A; \
    GO(pc + 2); \
  } \
  HANDLER(TABLE_GROW##suffix) { \
    base = (type)C; \
    A = (type)table_grow(pc[1].p0, B, base); \
    if (UNLIKELY(store->hears_growth)) return run_table_grown(pc, fp, mem, size, store, base); \
    GO(pc + 2); \
  }
TABLE_FORMS(, uint32_t)
TABLE_FORMS(_64, uint64_t)
HANDLER(TABLE_SIZE) { A = ((const Table *)pc[1].p0)->count; GO(pc + 2); }

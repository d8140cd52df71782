/* OCaml handles for library objects. The finaliser releases an object without blocking: the library removes what is
 * left of it on the engine in a background thread. */

#include "stubs.h"

#define FREE(type)                                                                                                     \
    static void free_##type(union object object)                                                                       \
    {                                                                                                                  \
        dstore_##type##_free(object.type);                                                                             \
    }

FREE(store)
FREE(step)
FREE(lease)
FREE(cancel)
FREE(options)
FREE(command)
FREE(results)
FREE(caches)
FREE(health)
FREE(image_config)
FREE(remains)
FREE(usage)
FREE(policy)
FREE(pruned)
FREE(pins)
FREE(host_files)
FREE(host_folder)

/* An open store has sockets, and a step or a lease has objects on the engine. These numbers limit how many unreachable
 * ones may exist before a full collection. The other objects are only a little memory. */
const struct kind store_kind = {"", free_store, 1, 10};
const struct kind step_kind = {"the step has already been committed or aborted", free_step, 1, 50};
const struct kind lease_kind = {"the lease has already been released or discarded", free_lease, 1, 50};
const struct kind cancel_kind = {"", free_cancel, 0, 1};
const struct kind options_kind = {"", free_options, 0, 1};
const struct kind command_kind = {"", free_command, 0, 1};
const struct kind results_kind = {"", free_results, 0, 1};
const struct kind caches_kind = {"", free_caches, 0, 1};
const struct kind health_kind = {"", free_health, 0, 1};
const struct kind image_config_kind = {"", free_image_config, 0, 1};
const struct kind remains_kind = {"", free_remains, 0, 1};
const struct kind usage_kind = {"", free_usage, 0, 1};
const struct kind policy_kind = {"", free_policy, 0, 1};
const struct kind pruned_kind = {"", free_pruned, 0, 1};
const struct kind pins_kind = {"", free_pins, 0, 1};
const struct kind host_files_kind = {"", free_host_files, 0, 1};
const struct kind host_folder_kind = {"", free_host_folder, 0, 1};

#define Cell_val(v) (*(struct cell **)Data_custom_val(v))

static void unref(struct cell *cell)
{
    if (atomic_fetch_sub(&cell->refs, 1) == 1)
        free(cell);
}

bool cell_enter(struct cell *cell)
{
    unsigned users = atomic_load(&cell->users);
    while (users > 0 && atomic_load(&cell->open))
        if (atomic_compare_exchange_weak(&cell->users, &users, users + 1))
            return true;
    return false;
}

void cell_leave(struct cell *cell)
{
    if (atomic_fetch_sub(&cell->users, 1) != 1)
        return;
    if (cell->object.any)
        cell->kind->free(cell->object);
    if (cell->parent)
        cell_leave(cell->parent);
    unref(cell);
}

void cell_end(struct cell *cell)
{
    if (atomic_exchange(&cell->open, false))
        cell_leave(cell);
}

/* Runs during a collection: nothing here may access OCaml's heap. */
static void finalize(value handle)
{
    struct cell *cell = Cell_val(handle);
    if (cell) {
        cell_end(cell);
        unref(cell);
    }
}

static struct custom_operations handle_operations = {
    .identifier = "docker-store.handle",
    .finalize = finalize,
    .compare = custom_compare_default,
    .compare_ext = custom_compare_ext_default,
    .hash = custom_hash_default,
    .serialize = custom_serialize_default,
    .deserialize = custom_deserialize_default,
    .fixed_length = custom_fixed_length_default,
};

value handle_alloc(const struct kind *kind, struct cell *parent)
{
    value handle = caml_alloc_custom(&handle_operations, sizeof(struct cell *), kind->mem, kind->max);
    struct cell *cell;
    Cell_val(handle) = NULL;
    cell = calloc(1, sizeof *cell);
    if (!cell)
        caml_raise_out_of_memory();
    cell->kind = kind;
    cell->parent = parent;
    atomic_init(&cell->users, 1);
    atomic_init(&cell->refs, 2);
    atomic_init(&cell->open, true);
    if (parent)
        atomic_fetch_add(&parent->users, 1);
    Cell_val(handle) = cell;
    return handle;
}

struct cell *handle_cell(value handle)
{
    return Cell_val(handle);
}

/* Releases an object before the GC does. */
CAMLprim value ocaml_dstore_end(value handle)
{
    cell_end(Cell_val(handle));
    return Val_unit;
}

// The module `slots`: the partitions of the firmware's two slots as read-only memory.
//
// MicroPython's own port maps one partition, labelled "romfs"; a ROMFS is run from where it is mapped, so a box with
// two slots needs this one. A mapping stays for as long as the chip runs: code and names are taken from there, over
// soft resets as well. ESP-IDF drops from the cache what is written to a partition that is mapped.

#include "py/mperrno.h"
#include "py/runtime.h"
#include "esp_partition.h"

#define SLOTS (2)

static struct {
    const esp_partition_t *partition;
    const void *memory;
} slots_mapped[SLOTS];

// map(label) -> memoryview of the data partition of that label; OSError ENOENT without it, ENOMEM for a third one, EIO.
static mp_obj_t slots_map(mp_obj_t label) {
    const esp_partition_t *partition = esp_partition_find_first(
        ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, mp_obj_str_get_str(label));
    if (partition == NULL) {
        mp_raise_OSError(MP_ENOENT);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (slots_mapped[i].partition == NULL) {
            esp_partition_mmap_handle_t handle;
            const void *memory;
            if (esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &memory, &handle) != ESP_OK) {
                mp_raise_OSError(MP_EIO);
            }
            slots_mapped[i].memory = memory;
            slots_mapped[i].partition = partition;
        }
        if (slots_mapped[i].partition == partition) {
            // Without the flag for writing.
            return mp_obj_new_memoryview('B', partition->size, (void *)slots_mapped[i].memory);
        }
    }
    mp_raise_OSError(MP_ENOMEM);
}
static MP_DEFINE_CONST_FUN_OBJ_1(slots_map_obj, slots_map);

static const mp_rom_map_elem_t slots_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_slots) },
    { MP_ROM_QSTR(MP_QSTR_map), MP_ROM_PTR(&slots_map_obj) },
};
static MP_DEFINE_CONST_DICT(slots_globals, slots_globals_table);

const mp_obj_module_t slots_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&slots_globals,
};

MP_REGISTER_MODULE(MP_QSTR_slots, slots_module);

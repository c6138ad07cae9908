// Module `uartmode`: the half-duplex mode of a UART, which machine.UART does not know.
//
// A transceiver for RS-485 has to let go of the line before the other side answers, after 1.75 ms at the earliest. The
// event loop cannot promise that. The driver of ESP-IDF can: it raises RTS when it sends, lowers it in the interrupt
// behind the last stop bit, and drops what the transceiver heard of itself meanwhile.

#include "driver/uart.h"
#include "py/mphal.h"
#include "py/runtime.h"

// half_duplex(id): machine.UART(id) must exist, without flow control; RTS is low from now on, unless it sends. The mode
// lasts until that UART is closed or gets buffers of another size. OSError when ESP-IDF refuses.
static mp_obj_t uartmode_half_duplex(mp_obj_t id) {
    check_esp_err(uart_set_mode(mp_obj_get_int(id), UART_MODE_RS485_HALF_DUPLEX));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(uartmode_half_duplex_obj, uartmode_half_duplex);

static const mp_rom_map_elem_t uartmode_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_uartmode) },
    { MP_ROM_QSTR(MP_QSTR_half_duplex), MP_ROM_PTR(&uartmode_half_duplex_obj) },
};
static MP_DEFINE_CONST_DICT(uartmode_globals, uartmode_globals_table);

const mp_obj_module_t uartmode_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&uartmode_globals,
};

MP_REGISTER_MODULE(MP_QSTR_uartmode, uartmode_module);

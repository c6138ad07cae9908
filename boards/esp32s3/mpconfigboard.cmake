# Board "wallbox-s3-1" for MicroPython's ESP32 port: make -C ports/esp32 BOARD_DIR=.../boards/esp32s3

include(boards/mpconfigboard_esp32s3_common.cmake)

# ESP-IDF looks for the partition table from the port's folder on, so it gets the whole path.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\nCONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions.csv\"\n")

file(GLOB BOARD_SDKCONFIG CONFIGURE_DEPENDS ${MICROPY_BOARD_DIR}/sdkconfig.*)
list(APPEND SDKCONFIG_DEFAULTS
    boards/sdkconfig.240mhz
    boards/sdkconfig.flash_qio_80m
    ${BOARD_SDKCONFIG}
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions
)

# Modules in C, which MicroPython's build looks through for their names as well.
file(GLOB MICROPY_SOURCE_BOARD CONFIGURE_DEPENDS ${MICROPY_BOARD_DIR}/mod*.c)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

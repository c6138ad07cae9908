# Variant for production (docs/security.md): make -C ports/esp32 BOARD_DIR=.../boards/esp32s3 BOARD_VARIANT=SECURE
# Its first start burns eFuses, so nothing here is taken without that.

file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions_secure
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/secure/partitions.csv\"\n")

# Behind the board's own, since the last word counts.
list(APPEND SDKCONFIG_DEFAULTS
    ${MICROPY_BOARD_DIR}/secure/sdkconfig
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions_secure
)

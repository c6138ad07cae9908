// Board "wallbox-s3-1": ESP32-S3-WROOM-1-N8. Which line is where: pins.csv, and why: README.md.

#define MICROPY_HW_BOARD_NAME "wallbox-s3-1"
#define MICROPY_HW_MCU_NAME "ESP32-S3"
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "wallbox"

// The service port is native USB. The pins of UART0 are the card reader's clock and the clock chip's data.
#define MICROPY_HW_ENABLE_UART_REPL (0)

// machine.SPI(1) is the W5500's alone, machine.SPI(2) that of metering chip and port expander.
#define MICROPY_HW_SPI1_SCK (12)
#define MICROPY_HW_SPI1_MOSI (11)
#define MICROPY_HW_SPI1_MISO (13)
#define MICROPY_HW_SPI2_SCK (21)
#define MICROPY_HW_SPI2_MOSI (40)
#define MICROPY_HW_SPI2_MISO (47)

#define MICROPY_HW_I2C0_SCL (0)
#define MICROPY_HW_I2C0_SDA (44)

#define MICROPY_HW_UART1_TX (17)
#define MICROPY_HW_UART1_RX (18)
#define MICROPY_HW_UART2_TX (41)
#define MICROPY_HW_UART2_RX (42)

// There is no socket for a card.
#define MICROPY_HW_ENABLE_SDCARD (0)

"""The wiring of the board "wallbox-s3-1": GPIO of the ESP32-S3 and lines of the port expander, as in pins.csv.

Why each line is safe at reset stands in the board's README.md. The module WROOM-1-N8 brings out 0..21 and 35..48 only;
0, 3, 45 and 46 are sampled at reset, so nothing outside may drive them the wrong way then.
"""

from micropython import const

# Control pilot, residual current and temperature: all of ADC1, since ADC2 does not work beside Wi-Fi.
CP_HIGH = const(1)
CP_LOW = const(2)
RCM_DC = const(4)
NTC = const(5)
RCM_AC = const(6)
CP_PWM = const(7)
PUMP = const(8)
HOLD = const(9)
RCM_TRIP = const(10)
RCM_TEST = const(36)
WATCHDOG = const(38)

# Bus of what the control loop reads, alone on its host: machine.SPI(2).
SAFE_SPI = const(2)
SAFE_SCK = const(21)
SAFE_MOSI = const(40)
SAFE_MISO = const(47)
METER_CS = const(14)
EXPANDER_CS = const(37)

# The W5500's driver runs in a task of its own and knows nothing of other users of its bus: machine.SPI(1) is its alone.
ETH_SPI = const(1)
ETH_MOSI = const(11)
ETH_SCK = const(12)
ETH_MISO = const(13)
ETH_CS = const(16)
ETH_INT = const(39)

# Card reader, by machine.SoftSPI.
READER_CS = const(15)
READER_SCK = const(43)
READER_MOSI = const(46)
READER_MISO = const(3)

RS485_UART = const(1)
RS485_TX = const(17)
RS485_RX = const(18)
# High sends.
RS485_DE = const(45)

MODEM_UART = const(2)
MODEM_TX = const(41)
MODEM_RX = const(42)

# Real-time clock.
I2C_PORT = const(0)
I2C_SCL = const(0)
I2C_SDA = const(44)

LEDS = const(48)
BUZZER = const(35)

# Bits of the expander's port A, inputs: voltage behind the contactor's poles and protective earth (low: there), contact
# PS_1/PS_2 (low: closed), and two bits that are wired to known levels.
IN_LIVE_L1 = const(0x01)
IN_LIVE_L2 = const(0x02)
IN_LIVE_L3 = const(0x04)
IN_PE = const(0x08)
IN_CONTACT = const(0x10)
IN_LOW = const(0x40)
IN_HIGH = const(0x80)

# Bits of its port B, outputs: resets (low: held in reset), key of the modem (high: pressed).
OUT_READER_RESET = const(0x01)
OUT_ETH_RESET = const(0x02)
OUT_MODEM_KEY = const(0x04)

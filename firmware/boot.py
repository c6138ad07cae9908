"""First code after a reset: the outputs that can hurt somebody are made safe before anything else loads."""

import hal.contactor
import hal.pilot

hal.contactor.Contactor().set(False)
hal.pilot.Pilot().set_duty(1000)

"""What a charge point sends in daily operation, as a table for `schema`; loaded for one check."""

TABLE = """
Authorize>idTag:s20
BootNotification>chargePointVendor:s20 chargePointModel:s20 chargePointSerialNumber?s25 chargeBoxSerialNumber?s25 \
firmwareVersion?s50 iccid?s20 imsi?s20 meterType?s25 meterSerialNumber?s25
DataTransfer>vendorId:s255 messageId?s50 data?s
Heartbeat>
MeterValues>connectorId:i transactionId?i meterValue:+{MeterValue
StartTransaction>connectorId:i idTag:s20 meterStart:i reservationId?i timestamp:t
StatusNotification>connectorId:i errorCode:=NoError|ConnectorLockFailure|EVCommunicationError|GroundFailure|\
HighTemperature|InternalError|LocalListConflict|OtherError|OverCurrentFailure|OverVoltage|PowerMeterFailure|\
PowerSwitchFailure|ReaderFailure|ResetFailure|UnderVoltage|WeakSignal info?s50 status:=Available|Preparing|Charging|\
SuspendedEVSE|SuspendedEV|Finishing|Reserved|Unavailable|Faulted timestamp?t vendorId?s255 vendorErrorCode?s50
StopTransaction>idTag?s20 meterStop:i timestamp:t transactionId:i reason?=DeAuthorized|EmergencyStop|EVDisconnected|\
HardReset|Local|Other|PowerLoss|Reboot|Remote|SoftReset|UnlockCommand transactionData?*{MeterValue
{MeterValue timestamp:t sampledValue:+{SampledValue
{SampledValue value:s context?=Interruption.Begin|Interruption.End|Other|Sample.Clock|Sample.Periodic|\
Transaction.Begin|Transaction.End|Trigger format?=Raw|SignedData measurand?=Current.Export|Current.Import|\
Current.Offered|Energy.Active.Export.Register|Energy.Active.Import.Register|Energy.Reactive.Export.Register|\
Energy.Reactive.Import.Register|Energy.Active.Export.Interval|Energy.Active.Import.Interval|\
Energy.Reactive.Export.Interval|Energy.Reactive.Import.Interval|Frequency|Power.Active.Export|Power.Active.Import|\
Power.Factor|Power.Offered|Power.Reactive.Export|Power.Reactive.Import|RPM|SoC|Temperature|Voltage \
phase?=L1|L2|L3|N|L1-N|L2-N|L3-N|L1-L2|L2-L3|L3-L1 location?=Body|Cable|EV|Inlet|Outlet \
unit?=Wh|kWh|varh|kvarh|W|kW|VA|kVA|var|kvar|A|V|K|Celcius|Celsius|Fahrenheit|Percent
"""

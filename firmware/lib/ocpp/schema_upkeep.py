"""Firmware, logs, certificates and security events, as a table for `schema`; loaded for one check."""

TABLE = """
CertificateSigned>certificateChain:s10000
CertificateSigned<status:=Accepted|Rejected
DeleteCertificate>certificateHashData:{HashData
DeleteCertificate<status:=Accepted|Failed|NotFound
DiagnosticsStatusNotification>status:=Idle|Uploaded|UploadFailed|Uploading
DiagnosticsStatusNotification<
ExtendedTriggerMessage>requestedMessage:=BootNotification|LogStatusNotification|FirmwareStatusNotification|Heartbeat|\
MeterValues|SignChargePointCertificate|StatusNotification connectorId?i
ExtendedTriggerMessage<status:=Accepted|Rejected|NotImplemented
FirmwareStatusNotification>status:=Downloaded|DownloadFailed|Downloading|Idle|InstallationFailed|Installing|Installed
FirmwareStatusNotification<
GetDiagnostics>location:s retries?i retryInterval?i startTime?t stopTime?t
GetDiagnostics<fileName?s255
GetInstalledCertificateIds>certificateType:=CentralSystemRootCertificate|ManufacturerRootCertificate
GetInstalledCertificateIds<certificateHashData?+{HashData status:=Accepted|NotFound
GetLog>log:{LogParameters logType:=DiagnosticsLog|SecurityLog requestId:i retries?i retryInterval?i
GetLog<status:=Accepted|Rejected|AcceptedCanceled filename?s255
InstallCertificate>certificateType:=CentralSystemRootCertificate|ManufacturerRootCertificate certificate:s5500
InstallCertificate<status:=Accepted|Failed|Rejected
LogStatusNotification>status:=BadMessage|Idle|NotSupportedOperation|PermissionDenied|Uploaded|UploadFailure|Uploading \
requestId?i
LogStatusNotification<
SecurityEventNotification>type:s50 timestamp:t techInfo?s255
SecurityEventNotification<
SignCertificate>csr:s5500
SignCertificate<status:=Accepted|Rejected
SignedFirmwareStatusNotification>status:=Downloaded|DownloadFailed|Downloading|DownloadScheduled|DownloadPaused|Idle|\
InstallationFailed|Installing|Installed|InstallRebooting|InstallScheduled|InstallVerificationFailed|InvalidSignature|\
SignatureVerified requestId?i
SignedFirmwareStatusNotification<
SignedUpdateFirmware>retries?i retryInterval?i requestId:i firmware:{Firmware
SignedUpdateFirmware<status:=Accepted|Rejected|AcceptedCanceled|InvalidCertificate|RevokedCertificate
UpdateFirmware>location:s retries?i retrieveDate:t retryInterval?i
UpdateFirmware<
{Firmware location:s512 retrieveDateTime:t installDateTime?t signingCertificate:s5500 signature:s800
{HashData hashAlgorithm:=SHA256|SHA384|SHA512 issuerNameHash:s128 issuerKeyHash:s128 serialNumber:s40
{LogParameters remoteLocation:s512 oldestTimestamp?t latestTimestamp?t
"""

"""Names that an Orthanc configuration may hold and that mean nothing to a worklist server.

They are accepted in silence, so that a working Orthanc configuration starts unchanged. Options
that mean something here are in `mwl.config.options` instead.

Source: the configuration file that Orthanc prints, versions 1.5 to 1.13, and the configuration
sections of its plugins.
"""

_CORE = """
    AcceptedSopClasses AcceptedTransferSyntaxes AllowFindSopClassesInStudy
    BuiltinDecoderTranscoderOrder CheckRevisions ConcurrentJobs DatabaseServerIdentifier
    DefaultPrivateCreator DeidentifyLogsDicomVersion DicomAssociationCloseDelay
    DicomDefaultRetrieveMethod DicomEchoChecksFind DicomLossyTranscodingQuality
    DicomParserCacheSize DicomParserMemoryCapacity DicomParserThreadsCount
    DicomScuPreferredTransferSyntax DicomThreadsCount ExternalDictionaries ExtraMainDicomTags
    HttpCompressionEnabled HttpProxy HttpRequestTimeout HttpsCACertificates HttpsVerifyPeers
    HttpThreadsCount HttpTimeout HttpVerbose IndexDirectory IngestTranscoding
    IngestTranscodingOfCompressed
    IngestTranscodingOfUncompressed JobsEngineThreadsCount JobsHistorySize KeepAlive
    KeepAliveTimeout LimitFindInstances LimitFindResults LimitJobs LoadPrivateDictionary Locale
    LogExportedResources LuaHeartBeatPeriod MallocArenaMax
    MaximumConcurrentDcmtkTranscoder MaximumPatientCount MaximumStorageCacheSize
    MaximumStorageMode MaximumStorageSize MediaArchiveSize MetricsEnabled OrthancExplorerEnabled
    OrthancPeers OrthancPeersInDatabase OverwriteInstances Pkcs11 Plugins QueryRetrieveSize
    RejectedSopClasses RejectSopClasses RestApiWriteToFileSystemEnabled SaveJobs
    SequentialDicomReaderThreadsCount SequentialDicomReaderWindowCapacity SslCiphersAccepted
    StableAge StorageAccessOnFind StorageCommitmentReportsSize
    StorageCompression StorageDirectory StorageLoaderThreadsCount StorageMemoryCapacity StoreDicom
    StoreMD5ForAttachments SynchronousCMove SynchronousZipStream SyncStorageArea TcpNoDelay
    TemporaryDirectory TranscodeDicomProtocol TranscoderCacheSize TranscoderMemoryCapacity
    TranscoderThreadsCount UnknownSopClassAccepted UserContentType UserMetadata Warnings
    WebDavDeleteAllowed WebDavEnabled WebDavUploadAllowed ZipLoaderThreads
"""

# One switch each for a family of compressed syntaxes of the image store.
_TRANSFER_SYNTAXES = """
    DeflatedTransferSyntaxAccepted H265TransferSyntaxAccepted Jpeg2000TransferSyntaxAccepted
    JpegLosslessTransferSyntaxAccepted JpegTransferSyntaxAccepted JpipTransferSyntaxAccepted
    Mpeg2TransferSyntaxAccepted Mpeg4TransferSyntaxAccepted RleTransferSyntaxAccepted
"""

_PLUGINS = """
    AdvancedStorage Authorization AwsS3Storage AzureBlobStorage ConnectivityChecks DelayedDeletion
    DicomWeb Education Gdcm GoogleCloudStorage Housekeeper Indexer Java MultitenantDicom MySQL
    Neuro OHIF Odbc Ohif OrthancExplorer2 OrthancWebViewer PixelsMasker PostgreSQL Python
    PythonVerbose STL ServeFolders StoneWebViewer Tcia Tracing Transfers VolView
    WebViewer WholeSlideImaging Wsi
"""

KNOWN_ORTHANC_OPTIONS: frozenset[str] = frozenset(
    f"{_CORE} {_TRANSFER_SYNTAXES} {_PLUGINS}".split()
)
"""Top-level names of Orthanc and its plugins that are read past."""

KNOWN_WORKLIST_OPTIONS: frozenset[str] = frozenset(
    {
        "DeleteWorklistsDelay",
        "DeleteWorklistsOnStableStudy",
        "HousekeepingInterval",
        "LogMatchedWorklistIds",
    }
)
"""Names in the section `Worklists` that are read past: deletion and creation of items."""

KNOWN_MODALITY_OPTIONS: frozenset[str] = frozenset(
    {
        "AllowEventReport",
        "AllowFind",
        "AllowGet",
        "AllowMove",
        "AllowNAction",
        "AllowStorageCommitment",
        "AllowStore",
        "AllowTranscoding",
        "Manufacturer",
        "RetrieveMethod",
    }
)
"""Names in a modality of `DicomModalities` that are read past: they concern other services."""

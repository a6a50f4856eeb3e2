/** Short names for the records of the API. */
import type { components, paths } from './schema';

type Schemas = components['schemas'];

export type Message = Schemas['MessageView'];
export type Turn = Schemas['TurnView'];
export type TurnEvent = Schemas['TurnEventView'];
export type TurnRequest = Schemas['ConversationTurnRequest'];
// By its path: the schema has a generated name, since the exams have a view of the same name.
export type Comparison = paths['/v1/comparisons/{comparison_id}/choice']['post']['responses'][200]['content']['application/json'];
export type Summary = Schemas['ConversationSummary'];
export type Hit = Schemas['ConversationHit'];
export type Tree = Schemas['ConversationTree'];
export type Folder = Schemas['FolderView'];
export type Memory = Schemas['MemoryView'];
export type Mode = Schemas['ModeView'];
export type Share = Schemas['ShareView'];
export type Clause = Schemas['ClauseView'];
export type Consensus = Schemas['ConsensusView'];
export type ConsensusItem = Schemas['AxisItem'];
export type ConversationList = Schemas['ConversationList'];
export type Endpoint = Schemas['EndpointView'];
export type EndpointPreset = Schemas['EndpointPresetView'];
export type EndpointTest = Schemas['EndpointTestResult'];
export type ExamRun = Schemas['ExamRunView'];
export type GuessScore = Schemas['GuessScoreView'];
export type Gate = Schemas['GateView'];
export type ImportReport = Schemas['ConversationImportReport'];
export type LessonSet = Schemas['LessonSetView'];
export type LibraryModel = Schemas['LibraryModel'];
export type Me = Schemas['MeView'];
export type MetricsLine = Schemas['MetricsLine'];
export type ModelPull = Schemas['PullView'];
export type NewApiKey = Schemas['NewKey'];
export type NewInvitation = Schemas['NewInvitation'];
export type NextJudgement = Schemas['NextJudgementView'];
export type Note = Schemas['NoteView'];
export type Person = Schemas['PersonView'];
export type QueuedItem = Schemas['QueueItemView'];
export type RaterReport = Schemas['RaterReportView'];
export type Run = Schemas['RunView'];
export type RunDetails = Schemas['RunDetail'];
export type SettingsChange = Schemas['SettingsChange'];
export type SideScore = Schemas['SideScore'];
export type SignInOptions = Schemas['SignInView'];
export type SpecCase = Schemas['SpecCaseView'];
export type SpecOutput = Schemas['SpecOutputView'];

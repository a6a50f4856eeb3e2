/** Short names for the records of the API. */
import type { Schemas } from './client';
import type { paths } from './schema';

export type Message = Schemas['MessageView'];
export type Turn = Schemas['TurnView'];
export type TurnEvent = Schemas['TurnEventView'];
export type TurnRequest = Schemas['TurnRequest'];
// By its path: the schema has a generated name, since the exams have a view of the same name.
export type Comparison = paths['/v1/comparisons/{comparison_id}/choice']['post']['responses'][200]['content']['application/json'];
export type Summary = Schemas['ConversationSummary'];
export type Hit = Schemas['ConversationHit'];
export type Tree = Schemas['ConversationTree'];
export type Folder = Schemas['FolderView'];
export type Memory = Schemas['MemoryView'];
export type Mode = Schemas['ModeView'];
export type Settings = Schemas['PersonalSettings'];
export type Share = Schemas['ShareView'];

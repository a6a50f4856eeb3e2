/** The records of the wire by short names. */
import type { Schemas } from './client';

export type Message = Schemas['MessageView'];
export type Turn = Schemas['TurnView'];
export type TurnEvent = Schemas['TurnEventView'];
export type TurnRequest = Schemas['TurnRequest'];
export type Comparison = Schemas['ComparisonView'];
export type Summary = Schemas['ConversationSummary'];
export type Hit = Schemas['ConversationHit'];
export type Tree = Schemas['ConversationTree'];
export type Folder = Schemas['FolderView'];
export type Memory = Schemas['MemoryView'];
export type Mode = Schemas['ModeView'];
export type Settings = Schemas['PersonalSettings'];
export type Share = Schemas['ShareView'];

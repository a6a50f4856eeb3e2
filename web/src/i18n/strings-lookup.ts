/** Strings of files in a chat, and of the sources of its answers. */
export const LOOKUP = {
  'attach.add': ['Attach files', '添加文件'],
  'attach.hint': [
    'Attach files: up to {most} with a message. You can also drop or paste them.',
    '添加文件：每条消息最多 {most} 个，也可以拖放或粘贴。',
  ],
  'attach.choose': ['Choose files to attach', '选择要添加的文件'],
  'attach.files': ['Attached files', '添加的文件'],
  'attach.dropHere': ['Drop the files to attach them.', '松开即可添加文件。'],
  'attach.noFolders': [
    'A folder cannot be attached as a whole. Open it and choose the files in it.',
    '不能整体添加文件夹。请打开它并选择其中的文件。',
  ],
  'attach.notTemporary': [
    'A temporary chat keeps nothing, so it takes no files.',
    '临时对话不保存任何内容，因此不能添加文件。',
  ],
  'attach.tooMany': [
    'A message takes {most} files at most. The others were not attached.',
    '一条消息最多添加 {most} 个文件，其余的没有添加。',
  ],
  'attach.queued': ['Waiting …', '等待中…'],
  'attach.sending': ['Uploading … {part}', '正在上传… {part}'],
  'attach.reading': ['Being read …', '正在读取…'],
  'attach.failed': ['Not attached', '未能添加'],
  'attach.again': ['Try again with {name}', '重试 {name}'],
  'attach.remove': ['Remove {name}', '移除 {name}'],
  'attach.forWhom': ['Who can have answers from it', '谁的回答可以用到它'],
  'attach.forWhomOf': ['{name} is for: {place}. Change', '{name} 的范围：{place}。更改'],
  'attach.forChat': ['This chat', '此对话'],
  'attach.forFolder': ['Folder “{name}”', '文件夹“{name}”'],
  'attach.forEverybody': ['Everybody here', '此处所有人'],
  'attach.waits': [
    'Your message is sent once {n} {n|file is|files are} read.',
    '{n} 个文件读取完成后即发送消息。',
  ],
  'attach.cancel': ['Do not send', '不发送'],
  'attach.waitsFailed': [
    'A file cannot be read, so the message was not sent. Send it again to ask without that file.',
    '有文件无法读取，消息没有发送。再次发送则不使用该文件。',
  ],
} as const;

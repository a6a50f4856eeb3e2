/**
 * Error messages by the API's stable error codes. English shows the server's message. Chinese shows these, with the server's message
 * as the detail. A test finds codes that are missing here.
 */
export const CHINESE_ERRORS: Readonly<Record<string, string>> = {
  access_withdrawn: '你的权限已被收回。',
  client_left: '请求在完成前被中断。',
  conflict: '与现有内容冲突，操作未执行。',
  context_length_exceeded: '内容超出了模型的上下文长度。请缩短问题，或开始新的对话。',
  expired: '登录已超时，或是在另一个浏览器中开始的。请重新登录。',
  headers_too_large: '请求的标头过大。',
  host_not_allowed: '服务器不接受来自此地址的访问。',
  import_running: '你的另一次导入仍在进行，请稍后再试。',
  incomplete_body: '请求未能完整送达，请重试。',
  internal_error: '服务器内部出错，详情见其日志。',
  invalid_api_key: '登录已失效，请重新登录。',
  invalid_encoding: '压缩的内容已损坏。',
  invalid_http: '请求格式有误。',
  invalid_json: '请求格式有误。',
  invalid_value: '输入的内容不可用。',
  method_not_allowed: '此地址不支持该操作。',
  missing_required_parameter: '缺少必填内容。',
  model_stopped: '该模型已被停用，原因见页面上方的提示。',
  model_not_found: '找不到所选的模型。',
  not_allowed: '你没有权限这样做。',
  not_found: '找不到该内容，它可能已被删除。',
  not_signed_in: '请先登录。',
  origin_missing: '出于安全考虑，请求被拒绝。请刷新页面后重试。',
  overloaded: '服务器正忙，请稍后再试。',
  rate_limit_exceeded: '请求过于频繁，请稍后再试。',
  request_too_large: '发送的内容过大。',
  request_timeout: '请求未能及时送达，请重试。',
  schema_not_satisfied: '回答不符合所要求的格式。',
  storage_failed: '无法写入存储：磁盘可能已满或只读。此前已确认的内容是安全的。',
  too_many_connections: '打开的连接过多，请稍后再试。',
  too_many_streams: '同时打开的回答过多，请关闭一些后重试。',
  unavailable: '所需的服务暂时不可用，请稍后再试。',
  unknown_parameter: '请求包含未知的字段。',
  unknown_url: '这个地址没有内容。',
  unsupported: '当前模型或引擎不支持此操作。',
  unsupported_content_encoding: '不支持这种压缩格式。',
  unsupported_media_type: '不支持这种文件或数据类型。',
  untrusted: '文件或记录未通过校验，已拒绝使用。',
  wrong_credentials: '用户名或密码不正确。',
};

/** For unknown codes, and for responses without a code. */
export const CHINESE_REQUEST_ERROR = '请求未被接受。';
export const CHINESE_SERVER_ERROR = '服务器出错了。';

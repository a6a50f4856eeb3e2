export { Bookmark as BookmarkIcon } from 'lucide-react';

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { queryClient } from './api/queries';
import { App } from './app';
import './ui/theme';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/surfaces.css';
import './styles/overlays.css';
import './styles/layout.css';
import './styles/chat.css';
import './styles/markdown.css';
import './styles/pages.css';
import './styles/rounds.css';
import './styles/releases.css';
import './styles/rate.css';
import './styles/corrections.css';
import './styles/cycle.css';
import './styles/documents.css';
import './styles/lookup.css';
import { Toasts } from './ui/toast';

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
);
